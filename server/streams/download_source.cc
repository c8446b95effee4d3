#include "server/streams/download_source.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "cogwheel/v1/video_service.pb.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

// OK if the job's result may be sent from `offset`.
absl::Status CheckReady(const Job& job, int64_t offset) {
  if (!IsTerminal(job.state)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_READY",
                     absl::StrCat(job.name, " is ", JobStateName(job.state),
                                  "; its result is not ready, cogwheel watch follows it"));
  }
  if (!job.result.has_value()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "JOB_FAILED",
                     absl::StrCat(job.name, " is ", JobStateName(job.state), "; it has no result"));
  }
  if (offset < 0) {
    return MakeInvalidArgument(
        "OFFSET", {{"offset", absl::StrCat("offset ", offset,
                                           " is negative; the nearest legal value is 0")}});
  }
  if (offset > job.result->size_bytes) {
    return MakeError(absl::StatusCode::kOutOfRange, "OFFSET",
                     absl::StrCat("offset ", offset, " is past the end; the result has ",
                                  job.result->size_bytes, " bytes"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status DownloadSource::Open() {
  const absl::StatusOr<std::string> name = NormalizeJobName(wanted_.job);
  if (!name.ok()) return name.status();
  const absl::StatusOr<Job> job = parts_.store.Get(wanted_.tenant, *name);
  if (!job.ok()) return job.status();
  const absl::Status ready = CheckReady(*job, wanted_.offset);
  if (!ready.ok()) return ready;
  result_ = *job->result;
  auto reader = parts_.results.Open(result_);
  if (!reader.ok()) return reader.status();
  reader_ = *std::move(reader);
  return absl::OkStatus();
}

MessageSource::Pulled DownloadSource::Pull(const std::shared_ptr<EventWatcher>& /*waker*/) {
  if (done_) return {std::nullopt, absl::OkStatus()};
  if (reader_ == nullptr) {
    const absl::Status opened = Open();
    if (!opened.ok()) return {std::nullopt, opened};
  }
  return NextPiece();
}

MessageSource::Pulled DownloadSource::NextPiece() {
  const int64_t wanted = std::min<int64_t>(kMaxChunkBytes, result_.size_bytes - offset_);
  absl::StatusOr<std::string> bytes = reader_->Read(offset_, wanted);
  if (!bytes.ok() || static_cast<int64_t>(bytes->size()) < wanted) return Lost();
  v1::Chunk chunk;
  chunk.set_offset(offset_);
  if (offset_ == wanted_.offset) chunk.set_media_type(result_.media_type);
  if (wanted_.offset == 0) sha_.Update(*bytes);
  offset_ += wanted;
  chunk.set_data(*std::move(bytes));
  done_ = offset_ == result_.size_bytes;
  if (done_) {
    if (wanted_.offset == 0 && sha_.HexDigest() != result_.sha256) return Lost();
    chunk.set_last(true);
    chunk.set_sha256(result_.sha256);
    chunk.set_size_bytes(result_.size_bytes);
  }
  return {chunk.SerializeAsString(), std::nullopt};
}

MessageSource::Pulled DownloadSource::Lost() const {
  parts_.on_damage(result_);
  return {std::nullopt,
          MakeError(absl::StatusCode::kDataLoss, "CHECKSUM",
                    absl::StrCat("the stored result ", result_.sha256, " is damaged"))};
}

}  // namespace cogwheel
