#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "server/job/answer.h"
#include "server/job/job.h"
#include "server/job/retention.h"
#include "server/job/usage.h"

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
  double gpu_seconds = 0;  // that the attempt had its group, times the group's ranks
  int64_t last_sequence = 0;
};

// A running attempt that came to nothing.
struct LostAttempt {
  std::string name;
  int64_t epoch = 0;
  int32_t attempt = 0;
  bool charged = false;  // the job may have caused it
  JobError cause;
  Job::WallTime end_time{};
  double gpu_seconds = 0;  // as of a FinishedJob
};

// All warnings of a job, as one of its attempts knows them.
struct JobWarnings {
  std::string name;
  int64_t epoch = 0;
  int32_t attempt = 0;
  std::vector<std::string> warnings;
};

// What is no longer to be found.
struct Removed {
  std::vector<std::string> jobs;
  std::vector<Artefact> orphans;  // results that no job owns any more
  bool more = false;              // there may be more that has to go
};

// Since the first start, changed in the same transactions as the jobs: in each (model, tenant),
// accepted = all finished + those in flight.
struct JobTotals {
  struct Key {
    std::string model, tenant;
    std::optional<JobState> state;  // terminal; none = accepted
    std::string reason;             // of a FAILED job's error
    auto operator<=>(const Key&) const = default;
  };
  std::map<Key, int64_t> counts;
};

// A group that asks for work: candidates in the order in which they should start.
struct ClaimOffer {
  std::string group;
  int64_t epoch = 0;
  Job::WallTime start_time{};
  std::vector<std::string> jobs;  // names
};

// The record of all jobs. Thread-safe. Writes answer once they are as durable as the store is, and
// never make the caller wait; a read answers with what every write that was answered has made, and
// may take as long as a disk or a database does: call it where that hurts nobody.
//
// Errors of the store itself are UNAVAILABLE (STORE) or RESOURCE_EXHAUSTED (STORE_FULL), and
// nothing has changed then; INTERNAL (STORE_REFUSED) is a change that it will never take. A write
// whose durability cannot be known ends the process: the next start finds what is true.
class JobStore {
 public:
  virtual ~JobStore() = default;

  // Makes the jobs of a former process that did not end QUEUED, uncharged, each with its next
  // attempt; answers them in the order of their names. Once, before any other call.
  virtual void Adopt(Answer<std::vector<Job>> done) = 0;

  // `queued` hears of each job that comes to wait, from any thread, before its Create is answered:
  // of those that this process creates, and of others' where several share the store. Once, before
  // Create.
  virtual void Watch(std::function<void(const Job&)> queued) = 0;
  // Inserts the job and its key in one transaction. The same key with the same hash answers the
  // first job, or NOT_FOUND (UNKNOWN_JOB) when that has been removed: a key outlives its job. With
  // another hash ALREADY_EXISTS (KEY_REUSED).
  virtual void Create(NewJob job, Answer<CreatedJob> done) = 0;
  // The first of the offer's jobs that is still queued: QUEUED -> RUNNING with the next attempt.
  // ABORTED (FENCED) when none is.
  virtual void ClaimNext(ClaimOffer offer, Answer<Job> done) = 0;
  // While (epoch, attempt) is current, also once it has ended; else ABORTED (FENCED), also when the
  // job is gone.
  virtual void Warn(JobWarnings known, Done done) = 0;
  // RUNNING -> QUEUED while (epoch, attempt) is current, else ABORTED (FENCED).
  virtual void Requeue(LostAttempt lost, Answer<Job> done) = 0;
  // ABORTED (FENCED) when another attempt is current or the job has ended.
  virtual void Finish(FinishedJob finished, Answer<Job> done) = 0;
  // Sets the flag; a finished job, or one that has it, is answered unchanged and costs no sync.
  // NOT_FOUND (UNKNOWN_JOB), also for another tenant's.
  virtual void RequestCancel(std::string tenant, std::string name, Answer<Job> done) = 0;
  // NOT_FOUND; FAILED_PRECONDITION (NOT_FINISHED) while queued or running.
  virtual void Delete(std::string tenant, std::string name, Answer<Removed> done) = 0;
  // Removes results and finished jobs beyond what may be kept, each tenant's oldest first, and what
  // is too old. Jobs whose results alone go stay SUCCEEDED.
  virtual void Trim(Retention retention, Answer<Removed> done) = 0;
  // A small durable write of its own, for readiness.
  virtual void Probe(Done done) = 0;
  // Keeps what the ranks of a group say of their model and answers a number for the group that
  // forms: never given twice, to whichever group.
  virtual void NewEpoch(v1::Model model, Answer<int64_t> done) = 0;

  // The job of a key, if there is one; the errors of Create.
  virtual absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                             const std::string& request_id,
                                                             const std::string& hash) const = 0;
  // NOT_FOUND (UNKNOWN_JOB), also for another tenant's.
  virtual absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const = 0;
  virtual absl::StatusOr<JobPage> List(const JobQuery& query) const = 0;
  // True while a job owns the artefact: a file that none owns may be swept.
  virtual absl::StatusOr<bool> Owns(const std::string& sha256) const = 0;
  // True while an unfinished job starts from the input or a tenant keeps it; else it may go.
  virtual absl::StatusOr<bool> WantsInput(const std::string& sha256) const = 0;
  virtual absl::StatusOr<JobTotals> Totals() const = 0;
  // By tenant, then model; written in the transactions that end attempts.
  virtual absl::StatusOr<std::vector<TenantUsage>> Usage(const UsageQuery& query) const = 0;
  // The last description of each model that ranks brought, in the order the names were first seen.
  virtual absl::StatusOr<std::vector<v1::Model>> Models() const = 0;
};

}  // namespace cogwheel
