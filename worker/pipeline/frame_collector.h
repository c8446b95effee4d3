#pragma once

#include <map>
#include <span>
#include <vector>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/pipeline/frame_sink.h"

namespace cogwheel {

// World rank 0's side of a decode: takes finished chunks from all ranks and hands them to the sink
// in order. On other ranks it only sends. Owned by the rank thread.
class FrameCollector {
 public:
  FrameCollector(Communicator& comm, FrameSink& sink, int chunk_count)
      : comm_(comm), sink_(sink), chunk_count_(chunk_count) {}

  // Rank 0, before `rank` starts on a chunk of this shape [F, H, W, 3].
  void Expect(int chunk_idx, int rank, at::IntArrayRef shape);
  // Any rank: its finished chunk, [F, H, W, 3] uint8.
  void Add(int chunk_idx, const at::Tensor& bytes);
  // Rank 0: emits what is ready. Never waits.
  void EmitReady();
  // Waits for all that was expected or sent.
  void Finish();

 private:
  struct Arriving {
    at::Tensor bytes;
    Communicator::Ticket ticket = 0;
    bool here = false;
  };
  void EmitFront();

  Communicator& comm_;
  FrameSink& sink_;
  const int chunk_count_;
  int next_chunk_ = 0;                // the first not yet emitted
  std::map<int, Arriving> arriving_;  // by chunk; rank 0
  std::vector<Arriving> leaving_;     // other ranks
};

}  // namespace cogwheel
