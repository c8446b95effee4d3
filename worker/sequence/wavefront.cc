#include "worker/sequence/wavefront.h"

#include <utility>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {

at::Tensor CarryTable::Swap(int conv_idx, const at::Tensor& frames) {
  return std::exchange(frames_[conv_idx], frames.clone());
}

void ConvHandover::BeginChunk(bool has_taker, bool last_round) {
  has_taker_ = has_taker;
  last_round_ = last_round;
}

at::Tensor ConvHandover::Swap(int conv_idx, const at::Tensor& frames) {
  poll_();
  SettleDone();
  const bool first = ring_.rank() == 0;
  const at::Tensor left = first ? TakeKept(conv_idx) : at::Tensor();
  // A copy: the argument is a view of the padded input, which would stay alive with it.
  const at::Tensor own = has_taker_ ? frames.clone() : at::Tensor();
  if (ring_.size() == 1) {
    if (has_taker_) kept_[conv_idx] = {.frames = own};
    return left;
  }
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  if (has_taker_) {
    sends.push_back({.peer = (ring_.rank() + 1) % ring_.size(), .data = DenseBytes(own)});
  }
  at::Tensor incoming;
  if (!first || !last_round_) {
    incoming = at::empty_like(frames);
    recvs.push_back(
        {.peer = (ring_.rank() + ring_.size() - 1) % ring_.size(), .data = DenseBytes(incoming)});
  }
  const Communicator::Ticket ticket = ring_.Start(sends, recvs, StreamOf(frames));
  if (first && incoming.defined()) {
    kept_[conv_idx] = {.frames = incoming, .sent = own, .ticket = ticket, .open = true};
    return left;
  }
  ring_.Finish(ticket);
  return first ? left : incoming;
}

void ConvHandover::Settle(Kept& kept) {
  if (!kept.open) return;
  ring_.Finish(kept.ticket);
  kept.open = false;
  kept.sent.reset();
}

void ConvHandover::SettleDone() {
  for (auto& [conv_idx, kept] : kept_) {
    if (kept.open && ring_.Done(kept.ticket)) Settle(kept);
  }
}

at::Tensor ConvHandover::TakeKept(int conv_idx) {
  auto node = kept_.extract(conv_idx);
  if (node.empty()) return {};
  Settle(node.mapped());
  return std::move(node.mapped().frames);
}

}  // namespace cogwheel
