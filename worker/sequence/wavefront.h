#pragma once

#include <functional>
#include <map>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"

// The third idea of this room beside the exchange and the ring: a clip is decoded chunk after
// chunk, and all ranks decode at once. Chunk i runs on rank i mod W, W chunks a round; before
// convolution k runs, each rank hands the two frames that its chunk leaves to the rank of the next
// chunk:
//
//   rank 0   chunk 0 ─ conv 0 ─ conv 1 ─ … ┐   chunk W ─ conv 0 ─ …
//                          \       \        │       ▲ the last rank's, of the round before
//   rank 1   chunk 1 ─ conv 0 ─ conv 1 ─ … ┤   chunk W+1 …
//                          \       \        │
//   rank 2   chunk 2 ─ conv 0 ─ conv 1 ─ … ┘   chunk W+2 …
//
// pipeline/decode.cc goes through the rounds.
namespace cogwheel {

// Carries the last two frames of each causal convolution's padded input from one chunk to the next.
class ConvCarry {
 public:
  virtual ~ConvCarry() = default;
  // Leaves `frames`, [B, C, 2, H, W], for the next chunk and returns those that the previous one
  // left, in the same layout; undefined when this is the first chunk. Called before the convolution
  // itself runs. conv_idx counts the convolutions in the order they run, from 0.
  virtual at::Tensor Swap(int conv_idx, const at::Tensor& frames) = 0;
};

// The carry of a serial run.
class CarryTable final : public ConvCarry {
 public:
  at::Tensor Swap(int conv_idx, const at::Tensor& frames) override;

 private:
  std::map<int, at::Tensor> frames_;
};

// The carry of one rank in the decode wavefront, whose rounds run a chunk on each rank. At
// convolution k of a round every rank sends what its chunk leaves to the next rank and receives
// what the chunk before left, as one exchange; the last rank's frames stay with rank 0 for its next
// round. In a world of one they stay in a table.
//
// Exchange k of round j is the same one on all ranks, so it needs nothing of later ones: no rank
// can wait for another in a circle, even if posting a send waited until its taker has come as far
// (as it does when something synchronises a whole GPU that NCCL is sending from). A send that its
// taker asks for only a round later would close that circle.
//
// Owned by the rank thread; made for one job, which ends with no exchange open.
class ConvHandover final : public ConvCarry {
 public:
  // `ring`: the world's ranks, for this alone. `poll` is called between convolutions, for work that
  // should not wait for the chunk's end.
  ConvHandover(Communicator& ring, std::function<void()> poll)
      : ring_(ring), poll_(std::move(poll)) {}

  // Before this rank's chunk of each round. has_taker: another chunk follows it, in this round or
  // the next. last_round: as agreed by all ranks.
  void BeginChunk(bool has_taker, bool last_round);

  at::Tensor Swap(int conv_idx, const at::Tensor& frames) override;

 private:
  // Frames on their way to this rank's next chunk.
  struct Kept {
    at::Tensor frames;
    at::Tensor sent;  // by the same exchange, which reads it until it is done
    Communicator::Ticket ticket = 0;
    bool open = false;
  };
  void Settle(Kept& kept);
  void SettleDone();
  at::Tensor TakeKept(int conv_idx);

  Communicator& ring_;
  const std::function<void()> poll_;
  bool has_taker_ = false;
  bool last_round_ = false;
  std::map<int, Kept> kept_;  // by conv_idx; rank 0
};

}  // namespace cogwheel
