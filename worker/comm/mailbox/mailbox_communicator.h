#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/inbox.h"
#include "worker/comm/mailbox/message_marks.h"
#include "worker/comm/mailbox/transport.h"

namespace cogwheel {

// The CPU communicator: matching, splitting and time limits over any Transport. Owned by the rank
// thread; Abort is thread-safe.
class MailboxCommunicator final : public Communicator {
 public:
  // What messages of one communicator are told apart by. members: world ranks in its order, this
  // one among them.
  struct Channel {
    std::string name;
    uint64_t id = 0;
    std::vector<int> members;
  };
  MailboxCommunicator(std::shared_ptr<Transport> transport, Channel channel,
                      std::chrono::milliseconds time_limit);
  // The world of `size` ranks.
  MailboxCommunicator(std::shared_ptr<Transport> transport, int size,
                      std::chrono::milliseconds time_limit);
  ~MailboxCommunicator() override;

  int rank() const override { return rank_; }
  int size() const override { return static_cast<int>(channel_.members.size()); }
  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle stream) override;
  void Finish(Ticket ticket) override;
  bool Done(Ticket ticket) override;
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override;
  void EnterWork(int64_t number) override;
  void Abandon(const std::string& why) override;
  void Abort(const std::string& reason) override { transport_->Abort(reason); }
  int64_t sent_bytes() const override { return *sent_bytes_; }

  // For whoever marks this world's messages (MessageMarks). Hands a note to all others, without
  // waiting; throws CommError when the world has failed.
  void PostNote(const MessageMark& note);
  // Tells all others, without waiting, that this rank will have gone on within that time or will
  // have left: their waits last that long, and its own too, as theirs may be work like it. Told
  // anew when the rank has waited itself. Throws CommError as PostNote does.
  void PostPromise(std::chrono::milliseconds time);
  int64_t work() const { return transport_->inbox().work(); }
  // What the marks say is wrong: fails this rank's side, unless it has failed already.
  void Fail(const std::string& wrong) { transport_->inbox().Fail(wrong); }

 private:
  struct Expected {
    MessageKey key;
    std::span<std::byte> target;
  };

  int WorldRank(int member) const;
  void Follow(int64_t work);

  const std::shared_ptr<Transport> transport_;
  const Channel channel_;
  const std::chrono::milliseconds time_limit_;
  int rank_ = 0;
  int64_t work_ = 0;                 // that the next three belong to
  std::vector<uint64_t> next_send_;  // by member
  std::vector<uint64_t> next_recv_;
  std::map<Ticket, std::vector<Expected>> open_;
  Ticket next_ticket_ = 1;
  std::map<uint64_t, uint64_t> splits_;  // how often each name and list of members was split off
  // These two are shared with splits.
  std::shared_ptr<int64_t> sent_bytes_ = std::make_shared<int64_t>(0);
  std::shared_ptr<std::chrono::milliseconds> promised_ =
      std::make_shared<std::chrono::milliseconds>(0);
};

}  // namespace cogwheel
