#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "base/sha256.h"

namespace cogwheel {

// Cuts a file that is being made into pieces for the wire and digests it on the way. Owned by one
// thread.
class ChunkWriter {
 public:
  // `send` takes at most chunk_bytes at an offset.
  using Send = std::function<absl::Status(int64_t offset, std::string data)>;
  ChunkWriter(size_t chunk_bytes, Send send) : chunk_bytes_(chunk_bytes), send_(std::move(send)) {}

  // Sends every full chunk; keeps the rest.
  absl::Status Write(std::string_view bytes);
  // Sends what is kept, so that a viewer has all that was written.
  absl::Status Flush();

  int64_t size_bytes() const { return offset_ + static_cast<int64_t>(kept_.size()); }
  // Once, last.
  std::string HexDigest() { return sha_.HexDigest(); }

 private:
  const size_t chunk_bytes_;
  const Send send_;
  int64_t offset_ = 0;
  std::string kept_;
  Sha256 sha_;
};

}  // namespace cogwheel
