#pragma once

#include <string>
#include <string_view>

namespace cogwheel {

// What gRPC says of a connection that could not be made or broke ("failed to connect to all
// addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: ... Connection refused") in words for people,
// with what helps. Other messages come back as they are, without the library's prefixes.
std::string ConnectionWords(std::string_view message);

}  // namespace cogwheel
