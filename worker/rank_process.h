#pragma once

#include "worker/launch/stop_signals.h"
#include "worker/rank_identity.h"
#include "worker/settings.h"

namespace cogwheel {

// One rank from its start to its exit code (worker/rank/exit_code.h). Prints one ready line on
// stdout, with its admin address, when the group stands. Owns, in this order: watchdog, mailbox,
// connection to the frontend, world, model.
int RunRank(const WorkerSettings& settings, const ModelDescription& model, const HostPlace& place,
            StopSignals& signals);

}  // namespace cogwheel
