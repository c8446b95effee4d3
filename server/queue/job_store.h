#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/queue/job.h"

namespace cogwheel {

struct NewJob {
  Job job;
  std::string request_id;    // idempotency key; empty = none
  std::string request_hash;  // of the request as sent
};

struct CreatedJob {
  Job job;
  bool existed = false;  // the first job of the key, not this one
};

struct JobQuery {
  std::string tenant;
  std::vector<JobState> states;  // empty = all
  std::string before_name;       // names below it; empty = from the newest
  int limit = 0;                 // > 0
};

struct JobPage {
  std::vector<Job> jobs;  // newest first
  bool more = false;
};

// A terminal state for one attempt of a job. It counts only while (epoch, attempt) is current: that
// is what fences an older attempt out.
struct FinishedJob {
  std::string name;
  int64_t epoch = 0;
  int32_t attempt = 0;
  JobState state = JobState::kFailed;  // terminal
  JobError error;
  std::optional<Artefact> result;
  StageSeconds stage_seconds;
  Job::WallTime end_time{};
  int64_t last_sequence = 0;
};

struct RemovedJob {
  std::string name;
  std::optional<Artefact> orphan;  // its result, when no other job owns the same bytes
};

// The record of all jobs. Thread-safe. Writes return (or call back) once they are as durable as the
// store is; reads see every write that returned. Errors of the store itself are UNAVAILABLE or
// RESOURCE_EXHAUSTED.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Inserts the job and its key in one transaction. The same key with the same hash answers the
  // first job; with another hash ALREADY_EXISTS (KEY_REUSED). `done` is called exactly once, from
  // any thread, perhaps before this returns.
  virtual void Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) = 0;
  // The job of a key, if there is one; ALREADY_EXISTS (KEY_REUSED) when its hash differs.
  virtual absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                             const std::string& request_id,
                                                             const std::string& hash) const = 0;
  // NOT_FOUND (UNKNOWN_JOB), also for another tenant's.
  virtual absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const = 0;
  virtual absl::StatusOr<JobPage> List(const JobQuery& query) const = 0;

  // QUEUED -> RUNNING with the next attempt. ABORTED (FENCED) when it is not queued any more.
  virtual absl::StatusOr<Job> Claim(const std::string& name, const std::string& group,
                                    int64_t epoch, Job::WallTime start_time) = 0;
  // RUNNING -> QUEUED while (epoch, attempt) is current, else ABORTED (FENCED).
  virtual absl::StatusOr<Job> Requeue(const std::string& name, int64_t epoch, int32_t attempt) = 0;
  // ABORTED (FENCED) when another attempt is current or the job has ended.
  virtual absl::StatusOr<Job> Finish(const FinishedJob& finished) = 0;
  // Sets the flag; a finished job is returned unchanged.
  virtual absl::StatusOr<Job> RequestCancel(const std::string& name) = 0;
  // FAILED_PRECONDITION (NOT_FINISHED) while queued or running.
  virtual absl::StatusOr<RemovedJob> Delete(const std::string& name) = 0;
  // Removes the oldest finished jobs beyond `max_finished`, their keys too.
  virtual absl::StatusOr<std::vector<RemovedJob>> Trim(int64_t max_finished) = 0;

  // A number for a group that forms: never given twice.
  virtual absl::StatusOr<int64_t> NextEpoch(const std::string& group) = 0;

  // The last description of each model that ranks brought, in the order the names were first seen.
  virtual absl::Status PutModel(const v1::Model& model) = 0;
  virtual absl::StatusOr<std::vector<v1::Model>> Models() const = 0;
};

}  // namespace cogwheel
