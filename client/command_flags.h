#pragma once

#include <string>
#include <vector>

#include <absl/status/status.h>

#include "client/arguments.h"

namespace CLI {
class App;
}

// The commands and their flags, as a table.
namespace cogwheel {

std::vector<std::string> CommandNames();

// Adds all commands to `app`. While CLI11 parses, they fill in `arguments` and keep the first
// problem: CLI11's own messages name neither field nor legal values as we want them. Both outlive
// the parsing.
void AddCommands(CLI::App& app, Arguments& arguments, absl::Status& problem);

}  // namespace cogwheel
