#include "client/job_follower.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "client/generation_client.h"
#include "client/json_output.h"
#include "client/state_words.h"
#include "client/text_output.h"

namespace cogwheel {

JobFollower::JobFollower(Json json, ProgressBar& bar, OutputWriter* writer)
    : json_(json), bar_(bar), writer_(writer) {}

void JobFollower::Begin(const v1::Job& job) {
  {
    MutexLock lock(mutex_);
    job_ = job.name();
  }
  Warn(job.warnings());
}

absl::Status JobFollower::Handle(const v1::JobEvent& event) {
  {
    MutexLock lock(mutex_);
    job_ = event.job();
  }
  Remember(event);
  if (event.has_started()) Warn(event.started().warnings());
  if (event.has_snapshot()) Warn(event.snapshot().warnings());
  const absl::Status shown = Print(event);
  if (!shown.ok()) return shown;
  if (writer_ == nullptr) return absl::OkStatus();
  if (event.has_chunk()) return Keep(event);
  return state_ == v1::SUCCEEDED ? BeginAttempt(event.attempt()) : absl::OkStatus();
}

absl::Status JobFollower::Print(const v1::JobEvent& event) {
  if (json_.out == nullptr) {
    bar_.Update(event);
    return absl::OkStatus();
  }
  const bool whole = event.has_preview() && json_.previews;
  *json_.out << (whole ? JsonLine(event) : JsonLineWithoutPayload(event)) << '\n' << std::flush;
  if (*json_.out) return absl::OkStatus();
  return absl::FailedPreconditionError("standard output cannot be written");
}

// Each once, however often the server repeats it.
void JobFollower::Warn(const google::protobuf::RepeatedPtrField<std::string>& warnings) {
  for (const std::string& warning : warnings) {
    if (warned_.insert(warning).second) bar_.Interrupt(WarningLine(warning));
  }
}

// Another attempt's bytes may differ: they are no part of this one's result.
absl::Status JobFollower::BeginAttempt(int32_t attempt) {
  if (std::exchange(written_attempt_, attempt) == attempt) return absl::OkStatus();
  return writer_->Restart();
}

absl::Status JobFollower::Keep(const v1::JobEvent& event) {
  const absl::Status begun = BeginAttempt(event.attempt());
  if (!begun.ok()) return begun;
  const absl::Status written = writer_->Write(event.chunk().offset(), event.chunk().data());
  // Pieces that the server no longer held are downloaded once the job has succeeded.
  return absl::IsOutOfRange(written) ? absl::OkStatus() : written;
}

void JobFollower::Remember(const v1::JobEvent& event) {
  const v1::JobState state = FinalState(event);
  if (state == v1::JOB_STATE_UNSPECIFIED) return;
  state_ = state;
  if (event.has_succeeded()) succeeded_ = event.succeeded();
  if (event.has_failed()) error_ = event.failed().error();
  if (event.has_cancelled()) error_ = event.cancelled().error();
  if (event.has_expired()) error_ = event.expired().error();
  if (event.has_snapshot()) {
    error_ = event.snapshot().error();
    succeeded_.set_size_bytes(event.snapshot().size_bytes());
    succeeded_.set_sha256(event.snapshot().sha256());
    succeeded_.set_media_type(event.snapshot().media_type());
  }
}

std::string JobFollower::job() const {
  MutexLock lock(mutex_);
  return job_;
}

CommandResult JobFollower::Result() const {
  CommandResult result{ExitCodeOf(state_), ""};
  if (state_ == v1::SUCCEEDED) return result;
  result.failure = absl::StrCat(job(), " ", StateWord(state_));
  if (!error_.message().empty()) absl::StrAppend(&result.failure, ": ", error_.message());
  return result;
}

}  // namespace cogwheel
