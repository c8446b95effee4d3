#include "worker/rpc/chunk_writer.h"

#include <algorithm>
#include <utility>

namespace cogwheel {

absl::Status ChunkWriter::Write(std::string_view bytes) {
  sha_.Update(bytes);
  while (!bytes.empty()) {
    const size_t taken = std::min(bytes.size(), chunk_bytes_ - kept_.size());
    kept_.append(bytes.substr(0, taken));
    bytes.remove_prefix(taken);
    if (kept_.size() < chunk_bytes_) return absl::OkStatus();
    const absl::Status sent = Flush();
    if (!sent.ok()) return sent;
  }
  return absl::OkStatus();
}

absl::Status ChunkWriter::Flush() {
  if (kept_.empty()) return absl::OkStatus();
  const int64_t offset = offset_;
  offset_ += static_cast<int64_t>(kept_.size());
  return send_(offset, std::exchange(kept_, {}));
}

}  // namespace cogwheel
