#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/inbox.h"

namespace cogwheel {

// Runs fn once per rank of a local world, each on a thread of its own, and waits for all. The first
// exception of any rank aborts the others and is thrown here. `time_limit` is that of every Finish.
void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit = std::chrono::seconds(20));

// The same with the communicators of a world that the caller made, by rank.
void SpawnRanks(std::vector<std::unique_ptr<Communicator>> world,
                const std::function<void(Communicator&)>& fn);

// `size` communicators over loopback TCP, connected by as many threads.
std::vector<std::unique_ptr<Communicator>> MakeSocketWorld(
    int size, std::chrono::milliseconds time_limit,
    int64_t held_bytes_per_peer = Inbox::kHeldBytesPerPeer);

}  // namespace cogwheel
