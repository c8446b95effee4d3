#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "worker/comm/mailbox/inbox.h"
#include "worker/comm/mailbox/mailbox_communicator.h"
#include "worker/comm/mailbox/message_marks.h"

namespace cogwheel {

struct LocalWorldOptions {
  int64_t held_bytes_per_peer = Inbox::kHeldBytesPerPeer;
  std::function<std::shared_ptr<MessageMarks>(int rank)> marks;  // none: messages carry none
};

// `size` communicators of one world whose ranks are threads of this process: for tests, with the
// matching, bounds and marks of the processes' world. time_limit is that of any Finish.
std::vector<std::unique_ptr<MailboxCommunicator>> MakeLocalWorld(
    int size, std::chrono::milliseconds time_limit, const LocalWorldOptions& options = {});

}  // namespace cogwheel
