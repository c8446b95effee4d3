#include "worker/pipeline/frame_collector.h"

#include <array>

#include <ATen/ATen.h>

#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {

void FrameCollector::Expect(int chunk_idx, int rank, at::IntArrayRef shape) {
  if (comm_.rank() != 0 || rank == 0) return;
  const at::Tensor bytes = at::empty(shape, at::TensorOptions(at::kByte));
  const std::array recvs{RecvPiece{.peer = rank, .data = TensorBytes(bytes)}};
  arriving_[chunk_idx] = {.bytes = bytes, .ticket = comm_.Start({}, recvs, nullptr)};
}

void FrameCollector::Add(int chunk_idx, const at::Tensor& bytes) {
  if (comm_.rank() == 0) {
    arriving_[chunk_idx] = {.bytes = bytes, .here = true};
    EmitReady();
    return;
  }
  const std::array sends{SendPiece{.peer = 0, .data = TensorBytes(bytes)}};
  leaving_.push_back({.bytes = bytes, .ticket = comm_.Start(sends, {}, nullptr)});
}

void FrameCollector::EmitReady() {
  while (!arriving_.empty() && arriving_.begin()->first == next_chunk_) {
    const Arriving& front = arriving_.begin()->second;
    if (!front.here && !comm_.Done(front.ticket)) return;
    EmitFront();
  }
}

void FrameCollector::EmitFront() {
  const Arriving front = arriving_.begin()->second;
  if (!front.here) comm_.Finish(front.ticket);
  arriving_.erase(arriving_.begin());
  const at::Tensor& bytes = front.bytes;
  sink_.OnFrames({bytes.const_data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())},
                 static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)),
                 static_cast<int>(bytes.size(2)));
  ++next_chunk_;
  sink_.OnProgress(Stage::kDecode, next_chunk_, chunk_count_);
}

void FrameCollector::Finish() {
  while (!arriving_.empty()) EmitFront();
  for (const Arriving& chunk : leaving_) comm_.Finish(chunk.ticket);
  leaving_.clear();
}

}  // namespace cogwheel
