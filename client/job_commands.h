#pragma once

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/shutdown_signals.h"

namespace cogwheel {

// Every command but `generate`: one RPC each, results to standard output. A signal ends it with
// CANCELLED and leaves the job alone.
CommandResult RunOnServer(const Arguments& arguments, ShutdownSignals& signals);

}  // namespace cogwheel
