#pragma once

#include <string>

namespace cogwheel {

// "5.1.9"
std::string FfmpegVersion();

}  // namespace cogwheel
