#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>

#include "base/mutex.h"
#include "worker/comm/mailbox/message_bytes.h"
#include "worker/comm/mailbox/message_marks.h"

namespace cogwheel {

// Names one message between two ranks: of which work, which communicator, from whom, the
// how-manieth.
struct MessageKey {
  int64_t work = 0;
  uint64_t channel_id = 0;
  int from = 0;  // world rank
  uint64_t sequence = 0;
  auto operator<=>(const MessageKey&) const = default;
};

// What has arrived at one rank and was not taken yet, for all its communicators: one holder of
// bytes for threads and for sockets. Messages of different communicators never mix, and those of a
// closed one are dropped, as are those of a work that is over. Thread-safe.
class Inbox {
 public:
  // How far a sender may run ahead of its receiver, in bytes that one rank holds of another's.
  // Ample for the wavefront decode of the largest clip: rank 0 waits for nobody in its first chunk,
  // so it may have handed a slow rank 1 all that the chunk's convolutions carry over, 17 GB in fp32
  // at 768 x 1360, before rank 1 asks for any of it.
  static constexpr int64_t kHeldBytesPerPeer = int64_t{24} << 30;

  // Without `marks` messages carry none, and those of peers are not looked at.
  explicit Inbox(int rank, int64_t held_bytes_per_peer = kHeldBytesPerPeer,
                 std::shared_ptr<MessageMarks> marks = nullptr);

  // Never waits. False when the sender is further ahead than the bound: the inbox has then failed.
  // A message whose mark is wrong fails the inbox too.
  [[nodiscard]] bool Deliver(const MessageKey& key, MessageBytes data, const MessageMark& mark = {})
      COGWHEEL_EXCLUDES(mutex_);

  // The mark of the messages of an exchange that this rank issues now, and its work. Throws
  // CommError when the world has failed, WorkAbandoned when the work was.
  struct Issued {
    MessageMark mark;
    int64_t work;
  };
  Issued Issue(uint64_t channel_id) COGWHEEL_EXCLUDES(mutex_);
  void HearNote(int peer, const MessageMark& note) COGWHEEL_EXCLUDES(mutex_);
  // A rank will have gone on in that work within that time, or will have left: whoever waits, for
  // it or for one that waits for it, need not give up before. Its latest promise counts, until the
  // work is over.
  void HearPromise(int from, int64_t work, std::chrono::milliseconds time)
      COGWHEEL_EXCLUDES(mutex_);

  // Waits for the message, at most for `limit` from `since`, or as long as ranks have promised to
  // go on. Throws WorkAbandoned, or CommError when the world failed, the sender left or the time is
  // over; channel_name and both ranks are in its text.
  MessageBytes Take(const MessageKey& key, std::string_view channel_name,
                    std::chrono::steady_clock::time_point since, std::chrono::milliseconds limit)
      COGWHEEL_EXCLUDES(mutex_);

  // True when Take would not wait. Throws as Take does, but for the time.
  bool Has(const MessageKey& key, std::string_view channel_name) COGWHEEL_EXCLUDES(mutex_);

  // Communicator::EnterWork.
  void EnterWork(int64_t number) COGWHEEL_EXCLUDES(mutex_);
  // A rank has given up a work: ends the waits for it, if this rank is in it or comes to it, and
  // drops what was held of it. False when nothing is new in that.
  bool Abandon(int64_t work, const std::string& why) COGWHEEL_EXCLUDES(mutex_);
  int64_t work() COGWHEEL_EXCLUDES(mutex_);

  // The world is lost: wakes every waiter, now and later. The first reason stays.
  void Fail(const std::string& reason) COGWHEEL_EXCLUDES(mutex_);
  bool failed() COGWHEEL_EXCLUDES(mutex_);
  void ThrowIfFailed() COGWHEEL_EXCLUDES(mutex_);

  // A peer has ended in good order: what it sent stays, waits for more of it fail.
  void PeerLeft(int peer) COGWHEEL_EXCLUDES(mutex_);

  // Forgets a communicator: what it left and what still comes for it. Its number is kept (8 bytes
  // for each communicator ever closed; a group makes a few in its life).
  void Close(uint64_t channel_id) COGWHEEL_EXCLUDES(mutex_);

 private:
  // Why a message that is not held will never come; empty while it may.
  std::string LostBecause(const MessageKey& key, std::string_view channel_name) const
      COGWHEEL_REQUIRES(mutex_);

  // Of a wait that ends at `end` if nobody has promised more.
  std::chrono::steady_clock::time_point EndOfWait(std::chrono::steady_clock::time_point end) const
      COGWHEEL_REQUIRES(mutex_);
  void FailIfWrong(const std::string& wrong) COGWHEEL_REQUIRES(mutex_);
  void ThrowIfOver() COGWHEEL_REQUIRES(mutex_);
  bool abandoned() const COGWHEEL_REQUIRES(mutex_) { return abandoned_work_ == work_; }
  template <typename Condition>  // of a key
  void DropHeld(const Condition& condition) COGWHEEL_REQUIRES(mutex_);

  const int rank_;
  const int64_t held_bytes_per_peer_;
  const std::shared_ptr<MessageMarks> marks_;  // may be null; asked under mutex_
  Mutex mutex_;
  CondVar changed_;
  std::map<MessageKey, MessageBytes> held_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<int, int64_t> held_bytes_ COGWHEEL_GUARDED_BY(mutex_);  // by sender
  std::set<uint64_t> closed_ COGWHEEL_GUARDED_BY(mutex_);
  std::set<int> left_ COGWHEEL_GUARDED_BY(mutex_);
  struct Promise {
    int64_t work = 0;
    std::chrono::steady_clock::time_point until;
  };
  std::map<int, Promise> promised_ COGWHEEL_GUARDED_BY(mutex_);  // by rank
  std::string failure_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t work_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  int64_t abandoned_work_ COGWHEEL_GUARDED_BY(mutex_) = -1;  // the latest
  std::string why_abandoned_ COGWHEEL_GUARDED_BY(mutex_);
};

// "rank 2's message 17 (channel ring)", for the texts of errors.
std::string DescribeMessage(const MessageKey& key, std::string_view channel_name);

}  // namespace cogwheel
