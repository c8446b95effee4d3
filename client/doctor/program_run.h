#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/finding.h"
#include "client/doctor/program_start.h"

namespace cogwheel {

// One of our programs, run to its end.
struct ProgramRun {
  std::vector<std::string> lines;  // of its standard output
  std::string log;                 // the first of its standard error
  int exit_code = 0;               // 128 + signal for a killed one
};

struct ProgramOptions {
  std::vector<std::string> argv;
  bool plain = false;      // as if none of kLoaderVariables were set
  bool trace = false;      // do not run it: list the libraries that it would load
  int limit_seconds = 60;  // then it is killed
};

// exit_code 127 with the reason as its log where it cannot be started at all. `stop_requested` is
// asked a few times a second, and ends it.
ProgramRun RunProgram(const ProgramOptions& options, const std::function<bool()>& stop_requested);

}  // namespace cogwheel
