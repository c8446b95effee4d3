#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "worker/comm/communicator.h"

namespace cogwheel {

// Where an exchange stands in a rank's program: its block, and how many of the block came before
// it. The same on all ranks that are in step. Block 0: not to be compared.
struct ProgramPlace {
  int64_t block = 0;
  int64_t number = 0;
};

// Holds one rank's program of exchanges against what its peers' messages tell of theirs, so that a
// rank that skips, repeats or reorders one is found by whoever hears of it: at the exchange itself
// when the communicators differ, else when the block ends on one side. Every method returns what is
// wrong, or nothing. Blocks whose exchanges differ by design (kDecode) are not compared. Not
// thread-safe.
class Lockstep {
 public:
  explicit Lockstep(int rank) : rank_(rank) {}

  // This rank begins its next block; issued_before() says how many exchanges the one before had.
  std::string EnterBlock(BlockKind kind);
  int64_t block() const { return block_; }
  int64_t issued_before() const { return issued_before_; }
  // This rank issues an exchange on a communicator.
  std::string Issue(uint64_t channel_id);
  ProgramPlace place() const;  // of the last exchange issued
  // A peer's message came.
  std::string Hear(int peer, const ProgramPlace& place, uint64_t channel_id);
  // A peer has left block `block` - 1 after so many exchanges.
  std::string HearEntered(int peer, int64_t block, int64_t issued_before);

 private:
  struct Entered {
    int64_t block = 0;
    int64_t issued_before = 0;
  };
  std::string CheckHeard(int peer, int64_t number, uint64_t channel_id) const;
  std::string CheckIssuedBefore(int peer, const Entered& entered, int64_t issued, bool whole) const;

  const int rank_;
  int64_t block_ = 0;
  int64_t issued_before_ = 0;
  int64_t count_ = 0;             // of this block's exchanges so far
  bool compared_ = false;         // this block
  bool compared_before_ = false;  // the one before
  // The communicators of this block's exchanges, if it is compared: the host exchanges of a world
  // of GPUs are one block that never ends.
  std::vector<uint64_t> issued_;
  // By peer: of its exchanges in this block and later ones, the communicators heard of.
  std::map<int, std::map<std::pair<int64_t, int64_t>, uint64_t>> heard_;
  std::map<int, Entered> entered_;  // by peer, the latest
};

}  // namespace cogwheel
