#pragma once

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/shutdown_signals.h"

namespace cogwheel {

// `cogwheel generate`: a private service or a running server, one job, one file. The first signal
// cancels the job; the second leaves at once.
CommandResult Generate(const Arguments& arguments, ShutdownSignals& signals);

}  // namespace cogwheel
