#include "worker/pipeline/conv_handover.h"

#include <array>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/parallel/tensor_bytes.h"

namespace cogwheel {
namespace {

constexpr int kSender = 0, kReceiver = 1;  // in the communicator of a way

}  // namespace

CarryLinks::CarryLinks(Communicator& world) : rank_(world.rank()) {
  const int size = world.size();
  if (size == 1) return;
  // In one order on all ranks: making one waits for its other member.
  for (int from = 0; from < size; ++from) {
    const std::array members = {from, (from + 1) % size};
    if (rank_ != members[kSender] && rank_ != members[kReceiver]) continue;
    ways_.push_back(world.Split(members, "carries"));
    (rank_ == members[kSender] ? to_next_ : from_previous_) = ways_.back().get();
  }
}

CarryLinks::~CarryLinks() {
  for (auto& way : ways_) way.reset();
}

void ConvHandover::BeginChunk(int from_rank, int to_rank) {
  from_rank_ = from_rank;
  to_rank_ = to_rank;
}

at::Tensor ConvHandover::Take(int conv_idx, const at::Tensor& like) {
  poll_();
  if (from_rank_ < 0) return {};
  if (from_rank_ == links_.rank()) {
    const auto found = kept_.find(conv_idx);
    TORCH_CHECK(found != kept_.end(), "convolution ", conv_idx, " left no frames");
    return found->second;
  }
  const at::Tensor frames = at::empty_like(like);
  const std::array recvs{RecvPiece{.peer = kSender, .data = DenseBytes(frames)}};
  Exchange(*links_.from_previous(), {}, recvs, StreamOf(frames));
  return frames;
}

void ConvHandover::Put(int conv_idx, const at::Tensor& frames) {
  if (to_rank_ < 0) return;
  // A copy: the argument is a view of the padded input, which would stay alive with it.
  const at::Tensor own = frames.clone();
  if (to_rank_ == links_.rank()) {
    kept_[conv_idx] = own;
    return;
  }
  DropFinishedSends();
  const std::array sends{SendPiece{.peer = kReceiver, .data = DenseBytes(own)}};
  sending_.push_back({.frames = own, .ticket = links_.to_next()->Start(sends, {}, StreamOf(own))});
}

void ConvHandover::DropFinishedSends() {
  while (!sending_.empty() && links_.to_next()->Done(sending_.front().ticket)) {
    links_.to_next()->Finish(sending_.front().ticket);
    sending_.pop_front();
  }
}

void ConvHandover::FinishSends() {
  for (const Sending& sending : sending_) links_.to_next()->Finish(sending.ticket);
  sending_.clear();
  kept_.clear();
}

}  // namespace cogwheel
