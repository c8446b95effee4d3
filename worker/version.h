#pragma once

#include <string>

namespace cogwheel {

// The build and every library inside, one a line.
std::string VersionText();

}  // namespace cogwheel
