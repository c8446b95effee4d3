#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "worker/comm/mailbox/message_marks.h"
#include "worker/journal/program_journal.h"

namespace cogwheel {

// Holds one rank's program of exchanges against what its peers' messages tell of theirs, so that a
// rank that skips, repeats or reorders one is found by whoever hears of it: at the exchange itself
// when the communicators differ, else when the block ends on one side. Blocks whose exchanges
// differ by design (kDecode) are not compared.
//
// Blocks are counted afresh in each work, which is part of a block's number: the ranks may have
// left the one before at different blocks.
//
// A message's mark is the place of its exchange: the block, and how many of the block came before
// it; the same on all ranks that are in step. Block 0: not to be compared. A note's mark is the
// block that its sender is in, and how many exchanges that one had in the block before.
// Thread-safe.
class Lockstep final : public MessageMarks {
 public:
  explicit Lockstep(int rank) : rank_(rank) {}

  struct Entered {
    std::string wrong;  // empty: nothing is
    MessageMark note;   // for the peers
  };
  // This rank begins its next block.
  Entered EnterBlock(BlockKind kind) COGWHEEL_EXCLUDES(mutex_);

  std::string Issue(uint64_t channel_id, MessageMark& mark) override COGWHEEL_EXCLUDES(mutex_);
  void EnterWork(int64_t number) override COGWHEEL_EXCLUDES(mutex_);
  std::string Heard(int peer, const MessageMark& mark, uint64_t channel_id) override
      COGWHEEL_EXCLUDES(mutex_);
  std::string HeardNote(int peer, const MessageMark& note) override COGWHEEL_EXCLUDES(mutex_);

 private:
  struct PeerBlock {
    int64_t block = 0;
    int64_t issued_before = 0;  // in the block before that
  };
  std::string CheckChannel(int peer, int64_t number, uint64_t channel_id) const
      COGWHEEL_REQUIRES(mutex_);
  // `whole`: both have left the block; else this rank is still in it, and may not pass the peer.
  std::string CheckIssued(int peer, const PeerBlock& entered, int64_t issued, bool whole) const
      COGWHEEL_REQUIRES(mutex_);
  int64_t issued_count() const COGWHEEL_REQUIRES(mutex_) {
    return static_cast<int64_t>(issued_.size());
  }

  const int rank_;
  Mutex mutex_;
  int64_t block_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  int64_t count_ COGWHEEL_GUARDED_BY(mutex_) = 0;          // of this block's exchanges so far
  int64_t issued_before_ COGWHEEL_GUARDED_BY(mutex_) = 0;  // in the block before
  bool compared_ COGWHEEL_GUARDED_BY(mutex_) = false;      // this block
  bool compared_before_ COGWHEEL_GUARDED_BY(mutex_) = false;
  // The channels of this block's exchanges, if it is compared.
  std::vector<uint64_t> issued_ COGWHEEL_GUARDED_BY(mutex_);
  // By peer: of its exchanges in this block and later ones, the channels heard of.
  std::map<int, std::map<std::pair<int64_t, int64_t>, uint64_t>> heard_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<int, PeerBlock> entered_ COGWHEEL_GUARDED_BY(mutex_);  // by peer, the latest
};

}  // namespace cogwheel
