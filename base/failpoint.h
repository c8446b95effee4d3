#pragma once

#include <string_view>

namespace cogwheel {

// A named place where a test may end, stop or delay the process. Each program is linked with one of
// two definitions: the shipped ones with the empty no_failpoints.cc, those of tests/faults with
// armed_failpoints.cc, which obeys its environment. Thread-safe. Names are ROOM.WHEN, each used
// once; tests/faults/failpoints.py lists them.
void Failpoint(std::string_view name);

}  // namespace cogwheel
