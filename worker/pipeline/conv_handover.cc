#include "worker/pipeline/conv_handover.h"

#include <array>

#include <ATen/ATen.h>

#include "worker/parallel/tensor_bytes.h"

namespace cogwheel {

void ConvHandover::BeginChunk(int from_rank, int to_rank) {
  from_rank_ = from_rank;
  to_rank_ = to_rank;
}

at::Tensor ConvHandover::Take(int conv_idx, const at::Tensor& like) {
  poll_();
  if (from_rank_ < 0) return {};
  if (from_rank_ == comm_.rank()) {
    const auto found = kept_.find(conv_idx);
    TORCH_CHECK(found != kept_.end(), "convolution ", conv_idx, " left no frames");
    return found->second;
  }
  const at::Tensor frames = at::empty(like.sizes(), like.options());
  const std::array recvs{RecvPiece{.peer = from_rank_, .data = TensorBytes(frames)}};
  Exchange(comm_, {}, recvs, nullptr);
  return frames;
}

void ConvHandover::Put(int conv_idx, const at::Tensor& frames) {
  if (to_rank_ < 0) return;
  // A copy: the argument is a view of the padded input, which would stay alive with it.
  const at::Tensor own = frames.clone(at::MemoryFormat::Contiguous);
  if (to_rank_ == comm_.rank()) {
    kept_[conv_idx] = own;
    return;
  }
  DropFinishedSends();
  const std::array sends{SendPiece{.peer = to_rank_, .data = TensorBytes(own)}};
  sending_.push_back({.frames = own, .ticket = comm_.Start(sends, {}, nullptr)});
}

void ConvHandover::DropFinishedSends() {
  while (!sending_.empty() && comm_.Done(sending_.front().ticket)) {
    comm_.Finish(sending_.front().ticket);
    sending_.pop_front();
  }
}

void ConvHandover::FinishSends() {
  for (const Sending& sending : sending_) comm_.Finish(sending.ticket);
  sending_.clear();
  kept_.clear();
}

}  // namespace cogwheel
