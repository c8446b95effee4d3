#pragma once

#include <string>
#include <string_view>

#include <absl/status/status.h>

// What a result may be called.
namespace cogwheel {

// In place of a file's name: standard output.
inline constexpr std::string_view kStandardOutput = "-";

enum class Container { kMp4, kSafetensors };

Container ContainerOf(std::string_view media_type);

// Where no name was given.
std::string DefaultOutput(Container container);

// FAILED_PRECONDITION for a suffix that is not the container's, which programs would go by. A name
// without one is legal, and standard output.
absl::Status CheckSuffix(const std::string& output, Container container);

}  // namespace cogwheel
