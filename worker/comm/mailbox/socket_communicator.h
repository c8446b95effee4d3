#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/comm/mailbox/inbox.h"
#include "worker/comm/mailbox/mailbox_communicator.h"
#include "worker/comm/mailbox/message_marks.h"
#include "worker/comm/mailbox/peer_listener.h"

namespace cogwheel {

struct SocketWorldOptions {
  int rank = 0;
  std::vector<std::string> addresses;  // HOST:PORT by rank; the size is the world's
  std::string token;  // the same on all ranks of one epoch, at most 64 bytes; others are refused
  std::chrono::milliseconds connect_limit{60'000};
  std::chrono::milliseconds time_limit{600'000};  // of any Finish; longer where peers promise
  // How far a rank may run ahead of one that does not take its messages, then CommError.
  int64_t held_bytes_per_peer = Inbox::kHeldBytesPerPeer;
  std::shared_ptr<MessageMarks> marks;  // null: messages carry none
};

// The world communicator between CPU processes: one TCP connection per pair, one I/O thread per
// process that alone reads and writes them. A peer's death (its connection ends without a goodbye)
// fails every wait at once; a peer that ends in good order fails only waits for what it never sent.
// Throws CommError when a rank cannot be reached, is not of this epoch, or does not come in time.
std::unique_ptr<MailboxCommunicator> ConnectSocketWorld(PeerListener listener,
                                                        const SocketWorldOptions& options);

}  // namespace cogwheel
