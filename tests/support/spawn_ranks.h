#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/local_communicator.h"

namespace cogwheel {

// What one rank of a test does, and what lets the others know that it failed.
struct RankWork {
  std::function<void()> run, abort;
};
// Each on a thread of its own, which ends with the works it holds: a rank leaves the world when its
// work is done, as a process does. Waits for all; the first exception is thrown here.
void RunRanks(std::vector<RankWork> ranks);

// Runs fn once per rank of a local world, each on a thread of its own, and waits for all. The first
// exception of any rank aborts the others and is thrown here. `time_limit` is that of every Finish.
void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit = std::chrono::seconds(20));

// The same with the communicators of a world that the caller made, by rank.
void SpawnRanks(std::vector<std::unique_ptr<MailboxCommunicator>> world,
                const std::function<void(Communicator&)>& fn);

// `size` communicators over loopback TCP, connected by as many threads.
std::vector<std::unique_ptr<MailboxCommunicator>> MakeSocketWorld(
    int size, std::chrono::milliseconds time_limit, const LocalWorldOptions& options = {});

}  // namespace cogwheel
