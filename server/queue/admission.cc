#include "server/queue/admission.h"

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {

absl::Status Admit(const QueueLimits& limits, const QueueLoad& load, int64_t job_bytes,
                   std::chrono::milliseconds job_time) {
  constexpr auto kExhausted = absl::StatusCode::kResourceExhausted;
  if (load.jobs + 1 > limits.jobs) {
    return WithRetryAfter(
        MakeError(kExhausted, "QUEUE_JOBS",
                  absl::StrCat("the queue holds ", load.jobs, " jobs; its limit is ", limits.jobs)),
        job_time);
  }
  if (load.bytes + job_bytes > limits.bytes) {
    return WithRetryAfter(
        MakeError(kExhausted, "QUEUE_BYTES",
                  absl::StrCat("the queue holds ", load.bytes, " bytes and the job has ", job_bytes,
                               "; the limit is ", limits.bytes)),
        job_time);
  }
  return absl::OkStatus();
}

absl::Status AdmissionLedger::Reserve(int64_t job_bytes) {
  MutexLock lock(mutex_);
  const absl::Status admitted = Admit(limits_, load_, job_bytes, job_time_);
  if (!admitted.ok()) return admitted;
  ++load_.jobs;
  load_.bytes += job_bytes;
  return absl::OkStatus();
}

void AdmissionLedger::Release(int64_t job_bytes) {
  MutexLock lock(mutex_);
  --load_.jobs;
  load_.bytes -= job_bytes;
}

void AdmissionLedger::SetJobTime(std::chrono::milliseconds job_time) {
  MutexLock lock(mutex_);
  job_time_ = job_time;
}

QueueLoad AdmissionLedger::load() const {
  MutexLock lock(mutex_);
  return load_;
}

bool AdmissionLedger::HasRoom() const {
  MutexLock lock(mutex_);
  return load_.jobs < limits_.jobs && load_.bytes < limits_.bytes;
}

}  // namespace cogwheel
