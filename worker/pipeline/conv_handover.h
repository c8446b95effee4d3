#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/model/vae.h"
#include "worker/parallel/communicator.h"

namespace cogwheel {

// The ways of carries: over the world's ranks in a circle, from each to the next. Each pair has a
// communicator of its own and each way its own order, so that a send whose taker is still busy with
// an earlier round holds up no other exchange.
class CarryLinks {
 public:
  // Every rank of `world` makes it at the same point of its program.
  explicit CarryLinks(Communicator& world);
  // Ends the ways in the order they were made: ending one may wait for its other member.
  ~CarryLinks();

  int rank() const { return rank_; }
  // Members: sender, receiver. Null in a world of one.
  Communicator* from_previous() const { return from_previous_; }
  Communicator* to_next() const { return to_next_; }

 private:
  const int rank_;
  std::vector<std::unique_ptr<Communicator>> ways_;  // of this rank
  Communicator* from_previous_ = nullptr;
  Communicator* to_next_ = nullptr;
};

// The carry of one rank in the decode wavefront: frames for a chunk of another rank travel, those
// for this rank's own next chunk (a world of one) stay in a table. Sends never wait. Owned by the
// rank thread.
class ConvHandover final : public ConvCarry {
 public:
  // `poll` is called between convolutions, for work that should not wait for the chunk's end.
  ConvHandover(const CarryLinks& links, std::function<void()> poll)
      : links_(links), poll_(std::move(poll)) {}

  // Before each chunk: where its carries come from and go to, the neighbours or this rank itself.
  // Negative: nowhere.
  void BeginChunk(int from_rank, int to_rank);

  at::Tensor Take(int conv_idx, const at::Tensor& like) override;
  void Put(int conv_idx, const at::Tensor& frames) override;

  // Waits until every send has been taken. Call once after the last chunk.
  void FinishSends();

 private:
  struct Sending {
    at::Tensor frames;
    Communicator::Ticket ticket;
  };
  void DropFinishedSends();

  const CarryLinks& links_;
  const std::function<void()> poll_;
  int from_rank_ = -1;
  int to_rank_ = -1;
  std::map<int, at::Tensor> kept_;  // by conv_idx, for this rank's own next chunk
  std::deque<Sending> sending_;
};

}  // namespace cogwheel
