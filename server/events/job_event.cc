#include "server/events/job_event.h"

#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

v1::JobError ToProto(const JobError& error) {
  v1::JobError out;
  out.set_code(static_cast<int32_t>(error.code));
  out.set_reason(error.reason);
  out.set_message(error.message);
  return out;
}

v1::StageTimes ToProto(const StageSeconds& seconds) {
  v1::StageTimes times;
  *times.mutable_text_encode() = ToDuration(seconds.text_encode);
  *times.mutable_denoise() = ToDuration(seconds.denoise);
  *times.mutable_decode() = ToDuration(seconds.decode);
  *times.mutable_encode() = ToDuration(seconds.encode);
  return times;
}

v1::JobEvent NewEvent(const Job& job, int64_t sequence) {
  v1::JobEvent event;
  event.set_job(job.name);
  event.set_sequence(sequence);
  event.set_attempt(job.attempt);
  *event.mutable_time() =
      ToTimestamp(job.end_time.value_or(job.start_time.value_or(job.create_time)));
  return event;
}

}  // namespace

v1::JobState ToProto(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return v1::QUEUED;
    case JobState::kRunning:
      return v1::RUNNING;
    case JobState::kSucceeded:
      return v1::SUCCEEDED;
    case JobState::kFailed:
      return v1::FAILED;
    case JobState::kCancelled:
      return v1::CANCELLED;
    case JobState::kExpired:
      return v1::EXPIRED;
  }
  return v1::JOB_STATE_UNSPECIFIED;
}

std::optional<JobState> FromProto(v1::JobState state) {
  switch (state) {
    case v1::QUEUED:
      return JobState::kQueued;
    case v1::RUNNING:
      return JobState::kRunning;
    case v1::SUCCEEDED:
      return JobState::kSucceeded;
    case v1::FAILED:
      return JobState::kFailed;
    case v1::CANCELLED:
      return JobState::kCancelled;
    case v1::EXPIRED:
      return JobState::kExpired;
    case v1::JOB_STATE_UNSPECIFIED:
    case v1::JobState_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::JobState_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

v1::Stage ToProto(RunStage stage) {
  switch (stage) {
    case RunStage::kTextEncode:
      return v1::STAGE_TEXT_ENCODE;
    case RunStage::kDenoise:
      return v1::STAGE_DENOISE;
    case RunStage::kDecode:
      return v1::STAGE_DECODE;
  }
  return v1::STAGE_UNSPECIFIED;
}

v1::Job ToProto(const Job& job) {
  v1::Job out;
  out.set_name(job.name);
  out.set_state(ToProto(job.state));
  out.set_attempt(job.attempt);
  out.set_epoch(job.epoch);
  out.set_group(job.group);
  *out.mutable_request() = job.request;
  out.set_tenant(job.tenant);
  *out.mutable_create_time() = ToTimestamp(job.create_time);
  if (job.start_time.has_value()) *out.mutable_start_time() = ToTimestamp(*job.start_time);
  if (job.end_time.has_value()) *out.mutable_end_time() = ToTimestamp(*job.end_time);
  if (job.error.code != absl::StatusCode::kOk) *out.mutable_error() = ToProto(job.error);
  for (const std::string& warning : job.warnings) out.add_warnings(warning);
  out.set_model_digest(job.model_digest);
  if (job.result.has_value()) {
    out.set_size_bytes(job.result->size_bytes);
    out.set_sha256(job.result->sha256);
    out.set_media_type(job.result->media_type);
  }
  if (IsTerminal(job.state) && job.attempt > 0) {
    *out.mutable_stage_times() = ToProto(job.stage_seconds);
  }
  return out;
}

v1::JobEvent SnapshotEvent(const Job& job, int64_t sequence) {
  v1::JobEvent event = NewEvent(job, sequence);
  *event.mutable_snapshot() = ToProto(job);
  return event;
}

v1::JobEvent TerminalEvent(const Job& job) {
  v1::JobEvent event = NewEvent(job, job.last_sequence);
  const Artefact result = job.result.value_or(Artefact{});
  switch (job.state) {
    case JobState::kSucceeded:
      event.mutable_succeeded()->set_size_bytes(result.size_bytes);
      event.mutable_succeeded()->set_sha256(result.sha256);
      event.mutable_succeeded()->set_media_type(result.media_type);
      break;
    case JobState::kFailed:
      *event.mutable_failed()->mutable_error() = ToProto(job.error);
      break;
    case JobState::kCancelled:
      *event.mutable_cancelled()->mutable_error() = ToProto(job.error);
      break;
    case JobState::kExpired:
      *event.mutable_expired()->mutable_error() = ToProto(job.error);
      break;
    case JobState::kQueued:
    case JobState::kRunning:
      break;  // has no last event yet
  }
  return event;
}

}  // namespace cogwheel
