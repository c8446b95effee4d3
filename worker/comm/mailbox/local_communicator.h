#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/inbox.h"

namespace cogwheel {

// `size` communicators of one world whose ranks are threads of this process: for tests, with the
// matching, bounds and step agreement of the processes' world. time_limit is that of any Finish.
std::vector<std::unique_ptr<Communicator>> MakeLocalWorld(
    int size, std::chrono::milliseconds time_limit,
    int64_t held_bytes_per_peer = Inbox::kHeldBytesPerPeer);

}  // namespace cogwheel
