#pragma once

#include <functional>
#include <string>

namespace cogwheel {

// What the place where progress goes can show.
struct Terminal {
  bool interactive = false;  // a terminal that can redraw a line
  bool color = false;
  bool unicode = false;
  // Asked at each draw: people resize windows.
  std::function<int()> columns = [] { return 80; };
};

// Reads an environment variable; "" when it is not set.
using Environment = std::function<std::string(const char* name)>;

// Pure part: all but the width.
Terminal DescribeTerminal(bool is_terminal, const Environment& environment);

// Of a file descriptor and this process's environment.
Terminal DescribeTerminal(int fd);

}  // namespace cogwheel
