#pragma once

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/shutdown_signals.h"

namespace cogwheel {

// `cogwheel doctor`: what would stop a checkpoint on this machine, and what to do. Exit code 2 when
// anything does. Starts no service, loads no weights.
CommandResult Doctor(const Arguments& arguments, ShutdownSignals& signals);

}  // namespace cogwheel
