#include "server/api/download_stream.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "base/sha256.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/api/message_writer.h"
#include "server/api/raw_request.h"

namespace cogwheel {
namespace {

class DownloadStream final : public MessageWriter<v1::Chunk> {
 public:
  DownloadStream(grpc::CallbackServerContext* context, const ApiParts& parts)
      : MessageWriter("DownloadVideo", context, parts) {}

  void Send(const Artefact& result, std::shared_ptr<const ResultReader> reader, int64_t offset)
      COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    result_ = result;
    reader_ = std::move(reader);
    offset_ = offset;
    from_start_ = offset == 0;
    Advance();
  }

 private:
  bool Next(v1::Chunk& chunk) override COGWHEEL_REQUIRES(mutex_) {
    if (reader_ == nullptr) return false;
    if (done_) {
      End(absl::OkStatus());
      return false;
    }
    const int64_t wanted = std::min<int64_t>(kMaxChunkBytes, result_.size_bytes - offset_);
    absl::StatusOr<std::string> bytes = reader_->Read(offset_, wanted);
    if (!bytes.ok() || static_cast<int64_t>(bytes->size()) < wanted) return Lost();
    if (from_start_) sha_.Update(*bytes);
    chunk.set_offset(offset_);
    if (first_) chunk.set_media_type(result_.media_type);
    first_ = false;
    offset_ += wanted;
    chunk.set_data(*std::move(bytes));
    done_ = offset_ == result_.size_bytes;
    if (!done_) return true;
    if (from_start_ && sha_.HexDigest() != result_.sha256) return Lost();
    chunk.set_last(true);
    chunk.set_sha256(result_.sha256);
    chunk.set_size_bytes(result_.size_bytes);
    return true;
  }

  bool Lost() COGWHEEL_REQUIRES(mutex_) {
    Log(LogLevel::kError, "a stored result is damaged", {{"sha256", result_.sha256}});
    parts_.metrics.store_checksum_failures_total.Increment();
    End(MakeError(absl::StatusCode::kDataLoss, "CHECKSUM",
                  absl::StrCat("the stored result ", result_.sha256, " is damaged")));
    return false;
  }

  Artefact result_ COGWHEEL_GUARDED_BY(mutex_);
  std::shared_ptr<const ResultReader> reader_ COGWHEEL_GUARDED_BY(mutex_);
  Sha256 sha_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t offset_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool from_start_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool first_ COGWHEEL_GUARDED_BY(mutex_) = true;
  bool done_ COGWHEEL_GUARDED_BY(mutex_) = false;
};

// The result that may be sent from `offset`.
absl::StatusOr<Artefact> FindResult(const absl::StatusOr<std::string>& tenant,
                                    const v1::DownloadVideoRequest& request,
                                    const JobStore& store) {
  if (!tenant.ok()) return tenant.status();
  const absl::StatusOr<std::string> name = NormalizeJobName(request.name());
  if (!name.ok()) return name.status();
  const absl::StatusOr<Job> job = store.Get(*tenant, *name);
  if (!job.ok()) return job.status();
  if (!IsTerminal(job->state)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_READY",
                     absl::StrCat(*name, " is ", JobStateName(job->state),
                                  "; its result is not ready, cogwheel watch follows it"));
  }
  if (!job->result.has_value()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "JOB_FAILED",
                     absl::StrCat(*name, " is ", JobStateName(job->state), "; it has no result"));
  }
  if (request.offset() < 0) {
    return MakeInvalidArgument(
        "OFFSET", {{"offset", absl::StrCat("offset ", request.offset(),
                                           " is negative; the nearest legal value is 0")}});
  }
  if (request.offset() > job->result->size_bytes) {
    return MakeError(absl::StatusCode::kOutOfRange, "OFFSET",
                     absl::StrCat("offset ", request.offset(), " is past the end; the result has ",
                                  job->result->size_bytes, " bytes"));
  }
  return *job->result;
}

}  // namespace

grpc::ServerWriteReactor<grpc::ByteBuffer>* MakeDownloadStream(grpc::CallbackServerContext* context,
                                                               const grpc::ByteBuffer& bytes,
                                                               const ApiParts& parts) {
  auto* stream = new DownloadStream(context, parts);
  v1::DownloadVideoRequest request;
  const absl::Status parsed = ParseRequest(bytes, request);
  const absl::StatusOr<Artefact> result =
      parsed.ok() ? FindResult(stream->tenant(), request, parts.store) : parsed;
  if (!result.ok()) {
    stream->Close(result.status());
    return stream;
  }
  auto reader = parts.results.Open(*result);
  if (reader.ok()) {
    stream->Send(*result, *std::move(reader), request.offset());
  } else {
    stream->Close(reader.status());
  }
  return stream;
}

}  // namespace cogwheel
