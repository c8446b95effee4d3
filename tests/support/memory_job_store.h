#pragma once

#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "server/job/job_store.h"

namespace cogwheel {

// A JobStore for tests: jobs live as long as it does, and answers come before the call returns.
// Thread-safe.
class MemoryJobStore : public JobStore {
 public:
  void Adopt(Answer<std::vector<Job>> done) override { done(AdoptNow()); }
  void Watch(std::function<void(const Job&)> queued) override { queued_ = std::move(queued); }
  void Create(NewJob job, Answer<CreatedJob> done) override {
    absl::StatusOr<CreatedJob> created = Insert(std::move(job));
    if (created.ok() && !created->existed) queued_(created->job);
    done(std::move(created));
  }
  void ClaimNext(ClaimOffer offer, Answer<Job> done) override { done(ClaimNow(offer)); }
  void Warn(JobWarnings known, Done done) override { done(WarnNow(known)); }
  void Requeue(LostAttempt lost, Answer<Job> done) override { done(RequeueNow(lost)); }
  void Finish(FinishedJob finished, Answer<Job> done) override { done(FinishNow(finished)); }
  void RequestCancel(std::string tenant, std::string name, Answer<Job> done) override {
    done(RequestCancelNow(tenant, name));
  }
  void Delete(std::string tenant, std::string name, Answer<Removed> done) override {
    done(DeleteNow(tenant, name));
  }
  void Trim(Retention retention, Answer<Removed> done) override { done(TrimNow(retention)); }
  void Probe(Done done) override { done(absl::OkStatus()); }
  void NewEpoch(v1::Model model, Answer<int64_t> done) override { done(NewEpochNow(model)); }
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const override;
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const override;
  absl::StatusOr<JobPage> List(const JobQuery& query) const override;
  absl::StatusOr<bool> Owns(const std::string& sha256) const override;
  absl::StatusOr<bool> WantsInput(const std::string& sha256) const override;
  absl::StatusOr<JobTotals> Totals() const override;
  absl::StatusOr<std::vector<TenantUsage>> Usage(const UsageQuery& query) const override;
  absl::StatusOr<std::vector<v1::Model>> Models() const override;

 private:
  using Key = std::pair<std::string, std::string>;  // tenant, request_id
  struct Keyed {
    std::string job, hash;
    Job::WallTime created{};
  };
  using KeptCost = int64_t (*)(const Job&);
  absl::StatusOr<std::vector<Job>> AdoptNow() COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<CreatedJob> Insert(NewJob job) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Job> ClaimNow(const ClaimOffer& offer) COGWHEEL_EXCLUDES(mutex_);
  absl::Status WarnNow(const JobWarnings& known) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Job> RequeueNow(const LostAttempt& lost) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Job> FinishNow(const FinishedJob& finished) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Job> RequestCancelNow(const std::string& tenant, const std::string& name)
      COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Removed> DeleteNow(const std::string& tenant, const std::string& name)
      COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<Removed> TrimNow(const Retention& retention) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<int64_t> NewEpochNow(const v1::Model& model) COGWHEEL_EXCLUDES(mutex_);
  absl::StatusOr<std::optional<Job>> Find(const Key& key, const std::string& hash) const
      COGWHEEL_REQUIRES(mutex_);
  // The job if (epoch, attempt) is current and it may go to `state`; ABORTED otherwise.
  absl::StatusOr<Job*> Current(const std::string& name, int64_t epoch, int32_t attempt,
                               JobState state) COGWHEEL_REQUIRES(mutex_);
  void Use(const Job& job, Job::WallTime time, double gpu_seconds) COGWHEEL_REQUIRES(mutex_);
  void Remove(const std::string& name, Removed& removed) COGWHEEL_REQUIRES(mutex_);
  void ExpireResult(Job& job, Removed& removed) COGWHEEL_REQUIRES(mutex_);
  // By tenant, and the oldest job of a tenant that costs anything.
  std::map<std::string, int64_t> Kept(KeptCost cost) const COGWHEEL_REQUIRES(mutex_);
  std::string OldestOf(const std::string& tenant, KeptCost cost) const COGWHEEL_REQUIRES(mutex_);
  bool Owned(const std::string& sha256) const COGWHEEL_REQUIRES(mutex_);

  std::function<void(const Job&)> queued_ = [](const Job&) {};
  mutable Mutex mutex_;
  std::map<std::string, Job> jobs_ COGWHEEL_GUARDED_BY(mutex_);  // by name: by age
  std::map<Key, Keyed> keys_ COGWHEEL_GUARDED_BY(mutex_);
  std::vector<v1::Model> models_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t epoch_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  JobTotals totals_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<int64_t, std::vector<TenantUsage>> usage_ COGWHEEL_GUARDED_BY(mutex_);  // by hour
};

}  // namespace cogwheel
