#pragma once

#include <string>

namespace cogwheel {

// The build and every library's version, one a line.
std::string ServerVersionText();

}  // namespace cogwheel
