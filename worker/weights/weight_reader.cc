#include "worker/weights/weight_reader.h"

#include <algorithm>
#include <map>
#include <span>
#include <utility>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "base/crc32c.h"
#include "base/mutex.h"
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

// Checksums of pieces, told by any thread.
class PieceSums {
 public:
  void Add(int64_t offset, int64_t bytes, uint32_t crc32c) {
    const MutexLock lock(mutex_);
    pieces_[offset] = {bytes, crc32c};
  }
  uint32_t Join() const {
    const MutexLock lock(mutex_);
    uint32_t whole = 0;
    for (const auto& [offset, piece] : pieces_) {
      whole = JoinCrc32c(whole, piece.second, static_cast<uint64_t>(piece.first));
    }
    return whole;
  }

 private:
  mutable Mutex mutex_;
  std::map<int64_t, std::pair<int64_t, uint32_t>> pieces_ COGWHEEL_GUARDED_BY(mutex_);
};

at::Tensor PinnedPiece() {
  return at::empty({kPieceBytes}, at::TensorOptions(at::kByte).pinned_memory(true));
}

}  // namespace

WeightReader::Content WeightReader::Read(const SafetensorsFile& file, int64_t offset, int64_t bytes,
                                         at::Device device) {
  PieceSums sums;
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
      uint32_t crc32c = 0;
      if (device.is_cuda()) {
        crc32c = ReadToGpu(file, offset + first, piece, buffers_[at::get_thread_num()]);
      } else {
        file.Read(offset + first, HostBytes(piece));
        crc32c = Crc32c(HostBytes(piece));
      }
      sums.Add(first, piece.numel(), crc32c);
      *read_bytes_ += piece.numel();
    }
  });
  return {.bytes = read, .crc32c = sums.Join()};
}

uint32_t WeightReader::ReadToGpu(const SafetensorsFile& file, int64_t offset,
                                 const at::Tensor& piece, Buffers& buffers) {
  Buffer& buffer = buffers.pair[buffers.last ^= 1];
  buffer.copied.synchronize();
  const at::Tensor here = buffer.pinned.narrow(0, 0, piece.numel());
  file.Read(offset, HostBytes(here));
  piece.copy_(here, /*non_blocking=*/true);
  buffer.copied.record(CurrentStream(piece.device()));
  return Crc32c(HostBytes(here));  // while it travels
}

}  // namespace cogwheel
