#pragma once

#include <string_view>

namespace cogwheel {

// config.proto with its comments: a FileDescriptorSet with source information.
std::string_view ConfigComments();

}  // namespace cogwheel
