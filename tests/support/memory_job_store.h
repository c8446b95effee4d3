#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "server/job/job_store.h"

namespace cogwheel {

// A JobStore for tests: jobs live as long as it does. Thread-safe.
class MemoryJobStore final : public JobStore {
 public:
  absl::StatusOr<std::vector<Job>> Recover() override;
  void Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) override;
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const override;
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<JobPage> List(const JobQuery& query) const override;
  absl::StatusOr<Job> Claim(const std::string& name, const std::string& group, int64_t epoch,
                            Job::WallTime start_time) override;
  absl::Status Warn(const JobWarnings& known) override;
  absl::StatusOr<Job> Requeue(const LostAttempt& lost) override;
  absl::StatusOr<Job> Finish(const FinishedJob& finished) override;
  absl::StatusOr<Job> RequestCancel(const std::string& name) override;
  absl::StatusOr<Removed> Delete(const std::string& name) override;
  absl::StatusOr<Removed> Trim(const Retention& retention) override;
  absl::StatusOr<bool> Owns(const std::string& sha256) const override;
  absl::StatusOr<JobTotals> Totals() const override;
  absl::Status Probe() override { return absl::OkStatus(); }
  absl::StatusOr<int64_t> NextEpoch() override;
  absl::Status PutModel(const v1::Model& model) override;
  absl::StatusOr<std::vector<v1::Model>> Models() const override;

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, request_id
  struct Keyed {
    std::string job, hash;
  };
  absl::StatusOr<CreatedJob> Insert(NewJob job) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<std::optional<Job>> Find(const Key& key, const std::string& hash) const
      COGWHEEL_REQUIRES(mutex_);
  // The job if (epoch, attempt) is current and it may go to `state`; ABORTED otherwise.
  absl::StatusOr<Job*> Current(const std::string& name, int64_t epoch, int32_t attempt,
                               JobState state) COGWHEEL_REQUIRES(mutex_);
  void Remove(const std::string& name, Removed& removed) COGWHEEL_REQUIRES(mutex_);
  void ExpireResult(Job& job, Removed& removed) COGWHEEL_REQUIRES(mutex_);
  bool Owned(const std::string& sha256) const COGWHEEL_REQUIRES(mutex_);

  mutable Mutex mutex_;
  std::map<std::string, Job> jobs_ COGWHEEL_GUARDED_BY(mutex_);  // by name: by age
  std::map<Key, Keyed> keys_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Key> key_of_job_ COGWHEEL_GUARDED_BY(mutex_);
  std::vector<v1::Model> models_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t epoch_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  JobTotals totals_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
