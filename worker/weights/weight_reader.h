#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>

#include "worker/weights/safetensors.h"

namespace cogwheel {

// Brings bytes of files to a device, a tensor's on all CPU threads of this rank at once.
//
// On a GPU every thread has two pinned buffers and reads one piece while the one before it travels.
// They, 8 MiB a thread, are all the host memory that loading takes. Owned by the rank thread.
class WeightReader {
 public:
  // `read_bytes` rises piece by piece, on any of the threads.
  explicit WeightReader(std::shared_ptr<std::atomic<int64_t>> read_bytes)
      : read_bytes_(std::move(read_bytes)) {}

  struct Content {
    at::Tensor bytes;     // [bytes] uint8, ready for whatever the calling thread's stream does next
    uint32_t crc32c = 0;  // as they were read, whichever thread read what
  };
  // Throws as OpenFile::Read.
  Content Read(const SafetensorsFile& file, int64_t offset, int64_t bytes, at::Device device);

 private:
  struct Buffer {
    at::Tensor pinned;
    c10::Event copied{at::kCUDA};  // what it last held has left it
  };
  // Of one thread.
  struct Buffers {
    std::array<Buffer, 2> pair;
    int last = 0;  // used; from one tensor to the next they take turns too
  };

  // The piece's CRC-32C.
  static uint32_t ReadToGpu(const SafetensorsFile& file, int64_t offset, const at::Tensor& piece,
                            Buffers& buffers);

  const std::shared_ptr<std::atomic<int64_t>> read_bytes_;
  std::vector<Buffers> buffers_;  // by thread
};

}  // namespace cogwheel
