#pragma once

#include <chrono>
#include <functional>

#include "worker/parallel/communicator.h"

namespace cogwheel {

// Runs fn once per rank of a local world, each on a thread of its own, and waits for all. The first
// exception of any rank aborts the others and is thrown here. `time_limit` is that of every Finish.
void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit = std::chrono::seconds(20));

}  // namespace cogwheel
