#include "server/dispatch/upload.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "proto/contract/image_header.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

template <typename... Words>
absl::Status Refuse(const char* field, const Words&... words) {
  return MakeInvalidArgument("INPUT", {{field, absl::StrCat(field, " ", words...)}});
}

v1::Input ToProto(const KeptInput& kept) {
  v1::Input input;
  input.set_name(InputName(kept.sha256));
  input.set_sha256(kept.sha256);
  input.set_size_bytes(kept.size_bytes);
  *input.mutable_expire_time() = ToTimestamp(kept.expire_time);
  return input;
}

}  // namespace

JobCost CostOfInput(const std::string& tenant, int64_t size_bytes) {
  constexpr int64_t kBlock = 4096;  // of a file system: so there is a bound for small ones too
  JobCost cost;
  cost.tenant = tenant;
  cost.bytes = std::max(size_bytes, kBlock);
  cost.jobs = 0;
  return cost;
}

std::string PlaceOfInput(const std::string& tenant, const std::string& sha256) {
  return absl::StrCat(InputName(sha256), " of ", tenant);
}

absl::Status Upload::Check(const v1::Chunk& piece) const {
  const auto bytes = static_cast<int64_t>(piece.data().size());
  if (piece.offset() != size_bytes_) {
    return Refuse("offset", piece.offset(), " is not where the piece before ended; legal is ",
                  size_bytes_);
  }
  if (bytes > kMaxChunkBytes) {
    return Refuse("data", "has ", bytes, " bytes; at most ", kMaxChunkBytes,
                  " are legal in a piece");
  }
  if (bytes == 0 && (!piece.last() || size_bytes_ == 0)) {
    return Refuse("data", "is empty; legal are 1 to ", kMaxChunkBytes, " bytes");
  }
  if (size_bytes_ + bytes > kMaxInputBytes) {
    return Refuse("data", "makes an input of ", size_bytes_ + bytes, " bytes or more; at most ",
                  kMaxInputBytes, " are legal");
  }
  return absl::OkStatus();
}

absl::Status Upload::CheckStated(const v1::Chunk& last) const {
  if (!last.sha256().empty() && last.sha256() != sha256_) {
    return Refuse("sha256", "is not that of the bytes that came, which is ", sha256_);
  }
  if (last.size_bytes() != 0 && last.size_bytes() != size_bytes_) {
    return Refuse("size_bytes", last.size_bytes(), " is not how many came, which is ", size_bytes_);
  }
  return absl::OkStatus();
}

absl::Status Upload::Take(const v1::Chunk& piece) {
  const absl::Status legal = Check(piece);
  if (!legal.ok()) return legal;
  size_bytes_ += static_cast<int64_t>(piece.data().size());
  parts_.ledger.Release(parts_.place);  // for a larger one
  const absl::Status room =
      parts_.ledger.Reserve(parts_.place, CostOfInput(parts_.tenant, size_bytes_));
  if (!room.ok()) return room;
  if (writer_ == nullptr) {
    absl::StatusOr<std::unique_ptr<InputWriter>> writer = parts_.inputs.Begin();
    if (!writer.ok()) return writer.status();
    writer_ = *std::move(writer);
  }
  const absl::Status written = writer_->Append(piece.data());
  if (!written.ok()) return written;
  sha_.Update(piece.data());
  if (!piece.last()) return absl::OkStatus();
  complete_ = true;
  sha256_ = sha_.HexDigest();
  return CheckStated(piece);
}

absl::StatusOr<std::string> Upload::ImageRefusal() const {
  if (size_bytes_ > kMaxImageBytes) {
    return absl::StrCat("has ", size_bytes_, " bytes; at most ", kMaxImageBytes, " are legal");
  }
  MutexLock lock(parts_.picture);
  const absl::StatusOr<std::string> bytes = writer_->Contents();
  if (!bytes.ok()) return bytes.status();
  return std::string(ReadImageHeader(*bytes).status().message());
}

void Upload::Keep(Answer<v1::Input> done) {
  const absl::StatusOr<std::string> refusal = ImageRefusal();
  if (!refusal.ok()) return done(refusal.status());
  const absl::Status committed = writer_->Commit(sha256_);
  if (!committed.ok()) return done(committed);
  const KeptInput kept{parts_.tenant, sha256_, size_bytes_, *refusal,
                       parts_.clock.Wall() + kInputLife};
  parts_.rows.Keep(kept, [kept, &ledger = parts_.ledger, place = parts_.place,
                          done = std::move(done)](const absl::Status& stored) {
    if (!stored.ok()) return done(stored);
    ledger.Take(PlaceOfInput(kept.tenant, kept.sha256), CostOfInput(kept.tenant, kept.size_bytes));
    ledger.Release(place);
    done(ToProto(kept));
  });
}

}  // namespace cogwheel
