#include "worker/weights/weight_reader.h"

#include <algorithm>
#include <span>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "worker/device/device.h"

namespace cogwheel {
namespace {

// Of one read and one copy: large enough that neither's start counts, small enough that a tensor of
// the network keeps many threads busy.
constexpr int64_t kPieceBytes = 4 << 20;
// Less is not worth another thread.
constexpr int64_t kLeastBytesPerThread = 1 << 20;

std::span<std::byte> HostBytes(const at::Tensor& tensor) {
  return {static_cast<std::byte*>(tensor.mutable_data_ptr()), tensor.nbytes()};
}

at::Tensor PinnedPiece() {
  return at::empty({kPieceBytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

}  // namespace

at::Tensor WeightReader::Read(const SafetensorsFile& file, int64_t offset, int64_t bytes,
                              at::Device device) {
  const at::Tensor read = at::empty({bytes}, at::TensorOptions(at::kByte).device(device));
  const c10::Stream stream = CurrentStream(device);
  while (device.is_cuda() && buffers_.size() < static_cast<size_t>(at::get_num_threads())) {
    Buffers& buffers = buffers_.emplace_back();
    for (Buffer& buffer : buffers.pair) buffer.pinned = PinnedPiece();
  }
  at::parallel_for(0, bytes, kLeastBytesPerThread, [&](int64_t begin, int64_t end) {
    const c10::InferenceMode inference;  // a thread's own, as the stream
    const DeviceScope scope(stream);
    for (int64_t first = begin; first < end; first += kPieceBytes) {
      const at::Tensor piece = read.narrow(0, first, std::min(kPieceBytes, end - first));
      if (device.is_cuda()) {
        ReadToGpu(file, offset + first, piece, buffers_[at::get_thread_num()]);
      } else {
        file.Read(offset + first, HostBytes(piece));
      }
      *read_bytes_ += piece.numel();
    }
  });
  return read;
}

void WeightReader::ReadToGpu(const SafetensorsFile& file, int64_t offset, const at::Tensor& piece,
                             Buffers& buffers) {
  Buffer& buffer = buffers.pair[buffers.last ^= 1];
  buffer.copied.synchronize();
  const at::Tensor here = buffer.pinned.narrow(0, 0, piece.numel());
  file.Read(offset, HostBytes(here));
  piece.copy_(here, /*non_blocking=*/true);
  buffer.copied.record(CurrentStream(piece.device()));
}

}  // namespace cogwheel
