#include "server/api/convert.h"

#include "proto/contract/status.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

void SetError(const Job& job, v1::JobError& out) {
  out.set_code(static_cast<int32_t>(job.error.code));
  out.set_reason(job.error.reason);
  out.set_message(job.error.message);
}

}  // namespace

// The two enumerations have one order; the public one begins at 1.
v1::JobState ToProto(JobState state) {
  return static_cast<v1::JobState>(static_cast<int>(state) + v1::QUEUED);
}

JobState FromProto(v1::JobState state) {
  return static_cast<JobState>(static_cast<int>(state) - v1::QUEUED);
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
  if (job.error.code != absl::StatusCode::kOk) SetError(job, *out.mutable_error());
  if (job.result.has_value()) {
    out.set_size_bytes(job.result->size_bytes);
    out.set_sha256(job.result->sha256);
    out.set_media_type(job.result->media_type);
  }
  if (IsTerminal(job.state) && job.attempt > 0) {
    v1::StageTimes& times = *out.mutable_stage_times();
    *times.mutable_text_encode() = ToDuration(job.stage_seconds.text_encode);
    *times.mutable_denoise() = ToDuration(job.stage_seconds.denoise);
    *times.mutable_decode() = ToDuration(job.stage_seconds.decode);
    *times.mutable_encode() = ToDuration(job.stage_seconds.encode);
  }
  return out;
}

absl::Status StatusOf(const Job& job) {
  if (job.error.code == absl::StatusCode::kOk) return absl::OkStatus();
  return MakeError(job.error.code, job.error.reason, job.name + ": " + job.error.message);
}

v1::JobEvent SnapshotEvent(const Job& job, int64_t sequence) {
  v1::JobEvent event;
  event.set_job(job.name);
  event.set_sequence(sequence);
  event.set_attempt(job.attempt);
  *event.mutable_time() =
      ToTimestamp(job.end_time.value_or(job.start_time.value_or(job.create_time)));
  *event.mutable_snapshot() = ToProto(job);
  return event;
}

v1::JobEvent TerminalEvent(const Job& job) {
  v1::JobEvent event;
  event.set_job(job.name);
  event.set_sequence(job.last_sequence);
  event.set_attempt(job.attempt);
  *event.mutable_time() = ToTimestamp(job.end_time.value_or(job.create_time));
  switch (job.state) {
    case JobState::kSucceeded:
      event.mutable_succeeded()->set_size_bytes(job.result->size_bytes);
      event.mutable_succeeded()->set_sha256(job.result->sha256);
      event.mutable_succeeded()->set_media_type(job.result->media_type);
      break;
    case JobState::kCancelled:
      SetError(job, *event.mutable_cancelled()->mutable_error());
      break;
    case JobState::kExpired:
      SetError(job, *event.mutable_expired()->mutable_error());
      break;
    default:
      SetError(job, *event.mutable_failed()->mutable_error());
  }
  return event;
}

}  // namespace cogwheel
