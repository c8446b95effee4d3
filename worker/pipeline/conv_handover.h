#pragma once

#include <deque>
#include <functional>
#include <map>

#include <ATen/core/Tensor.h>

#include "worker/model/vae.h"
#include "worker/parallel/communicator.h"

namespace cogwheel {

// The carry of one rank in the decode wavefront: frames for a chunk of another rank travel, those
// for this rank's own next chunk (a world of one) stay in a table. Sends never wait. Owned by the
// rank thread.
class ConvHandover final : public ConvCarry {
 public:
  // `poll` is called between convolutions, for work that should not wait for the chunk's end.
  ConvHandover(Communicator& comm, std::function<void()> poll)
      : comm_(comm), poll_(std::move(poll)) {}

  // Before each chunk: where its carries come from and go to. Negative: nowhere.
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

  Communicator& comm_;
  const std::function<void()> poll_;
  int from_rank_ = -1;
  int to_rank_ = -1;
  std::map<int, at::Tensor> kept_;  // by conv_idx, for this rank's own next chunk
  std::deque<Sending> sending_;
};

}  // namespace cogwheel
