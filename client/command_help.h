#pragma once

#include <string>

#include "client/command_table.h"

// The pages of --help, of the tables of commands and flags.
namespace cogwheel {

std::string ProgramHelp(int columns);
std::string CommandHelp(const CommandRow& command, int columns);

}  // namespace cogwheel
