#pragma once

#include <string>

#include "base/finding.h"

// What shows only when it is tried.
namespace cogwheel {

// Binds so many ports of 127.0.0.1 at once, as a frontend and its ranks do, and reaches one.
Finding ProbeLoopback(int port_count);

// Writes and removes a file there.
Finding ProbeFolder(const std::string& folder);

}  // namespace cogwheel
