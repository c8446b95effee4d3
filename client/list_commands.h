#pragma once

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/generation_client.h"

// The commands that show what a server has. Results go to standard output; what is said of an empty
// or a cut list, to standard error.
namespace cogwheel {

CommandResult ListJobs(const Arguments& arguments, GenerationClient& client);
CommandResult ListModels(const Arguments& arguments, GenerationClient& client);
CommandResult ListGroups(const Arguments& arguments, GenerationClient& client);
CommandResult ShowHealth(const Arguments& arguments, GenerationClient& client);

}  // namespace cogwheel
