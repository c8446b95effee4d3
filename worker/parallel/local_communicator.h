#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "worker/parallel/communicator.h"

namespace cogwheel {

// `size` communicators of one world whose ranks are threads of this process (tests, world size 1 in
// a process).
std::vector<std::unique_ptr<Communicator>> MakeLocalWorld(int size,
                                                          std::chrono::milliseconds time_limit);

}  // namespace cogwheel
