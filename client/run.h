#pragma once

namespace cogwheel {

// The whole program: command line to exit code. A failure is one line on standard error.
int RunClient(int argc, const char* const* argv);

}  // namespace cogwheel
