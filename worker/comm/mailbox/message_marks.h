#pragma once

#include <array>
#include <cstdint>
#include <string>

namespace cogwheel {

// Two numbers that travel with each message, and alone as a note. The mailbox never looks into
// them; {0, 0} where nobody marks.
using MessageMark = std::array<int64_t, 2>;

// Who marks this rank's messages and judges its peers'. What a method returns is what is wrong, or
// nothing; what is wrong fails the world. The inbox asks under its lock: nothing here may call it.
// Thread-safe.
class MessageMarks {
 public:
  virtual ~MessageMarks() = default;

  // This rank issues an exchange on a channel: fills in the mark of its messages.
  virtual std::string Issue(uint64_t channel_id, MessageMark& mark) = 0;
  // This rank enters a work (Communicator::EnterWork). What peers' marks say of others does not
  // count in it.
  virtual void EnterWork(int64_t number) = 0;
  // A peer's message came.
  virtual std::string Heard(int peer, const MessageMark& mark, uint64_t channel_id) = 0;
  // A peer's note came (MailboxCommunicator::PostNote).
  virtual std::string HeardNote(int peer, const MessageMark& note) = 0;
};

}  // namespace cogwheel
