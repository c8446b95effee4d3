#pragma once

#include <string>
#include <string_view>

namespace cogwheel {

// Lines that gRPC and protobuf would write in forms of their own become lines of our log. Once, at
// the start of the program.
void TakeLibraryLogs();

// gRPC's line as people may read it: without the tree of errors in braces and the places in its
// source; "" for what our own message says better (a port that is taken).
std::string LibraryWords(std::string_view line);

}  // namespace cogwheel
