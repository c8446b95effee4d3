#pragma once

namespace cogwheel {

// Lines that gRPC and protobuf would write in forms of their own become lines of our log. Once, at
// the start of the program.
void TakeLibraryLogs();

}  // namespace cogwheel
