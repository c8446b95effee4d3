#pragma once

#include "worker/launch/stop_signals.h"
#include "worker/settings.h"

namespace cogwheel {

// Which of a host's ranks a process is.
struct HostPlace {
  int local_rank = 0;
  bool replaces_killed_for_memory = false;  // the last process of the place (Launcher)
};

// One rank from its start to its exit code (worker/rank/exit_code.h). Prints one ready line on
// stdout, with its admin address, when the group stands. Owns, in this order: watchdog, mailbox,
// connection to the frontend, world, model.
int RunRank(const WorkerSettings& settings, const ModelDescription& model, const HostPlace& place,
            StopSignals& signals);

}  // namespace cogwheel
