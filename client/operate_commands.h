#pragma once

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/shutdown_signals.h"

namespace cogwheel {

// True for the commands of operators.
bool IsOperatorsCommand(Command command);

// One of them: one RPC, the answer to standard output. A signal ends it with CANCELLED; what the
// server has begun it may still do.
CommandResult Operate(const Arguments& arguments, ShutdownSignals& signals);

}  // namespace cogwheel
