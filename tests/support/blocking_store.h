#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/job/job_store.h"

namespace cogwheel {

// A store whose writes are waited for: for tests that do one thing after the other.
class BlockingStore {
 public:
  explicit BlockingStore(JobStore& store) : store_(store) {}
  operator JobStore&() const { return store_; }  // where one is asked for

  absl::StatusOr<std::vector<Job>> Adopt() {
    return Await<absl::StatusOr<std::vector<Job>>>(
        [this](Answer<std::vector<Job>> done) { store_.Adopt(std::move(done)); });
  }
  absl::StatusOr<CreatedJob> Create(NewJob job) {
    return Await<absl::StatusOr<CreatedJob>>(
        [&](Answer<CreatedJob> done) { store_.Create(std::move(job), std::move(done)); });
  }
  absl::StatusOr<Job> Claim(const std::string& name, const std::string& group, int64_t epoch,
                            Job::WallTime start_time) {
    return ClaimNext({group, epoch, start_time, {name}});
  }
  absl::StatusOr<Job> ClaimNext(const ClaimOffer& offer) {
    return Await<absl::StatusOr<Job>>(
        [&](Answer<Job> done) { store_.ClaimNext(offer, std::move(done)); });
  }
  absl::Status Warn(const JobWarnings& known) {
    return Await<absl::Status>([&](Done done) { store_.Warn(known, std::move(done)); });
  }
  absl::StatusOr<Job> Requeue(const LostAttempt& lost) {
    return Await<absl::StatusOr<Job>>(
        [&](Answer<Job> done) { store_.Requeue(lost, std::move(done)); });
  }
  absl::StatusOr<Job> Finish(const FinishedJob& finished) {
    return Await<absl::StatusOr<Job>>(
        [&](Answer<Job> done) { store_.Finish(finished, std::move(done)); });
  }
  absl::StatusOr<Job> RequestCancel(const std::string& name,
                                    const std::string& tenant = "default") {
    return Await<absl::StatusOr<Job>>(
        [&](Answer<Job> done) { store_.RequestCancel(tenant, name, std::move(done)); });
  }
  absl::StatusOr<Removed> Delete(const std::string& name, const std::string& tenant = "default") {
    return Await<absl::StatusOr<Removed>>(
        [&](Answer<Removed> done) { store_.Delete(tenant, name, std::move(done)); });
  }
  absl::StatusOr<Removed> Trim(const Retention& retention) {
    return Await<absl::StatusOr<Removed>>(
        [&](Answer<Removed> done) { store_.Trim(retention, std::move(done)); });
  }
  absl::Status Probe() {
    return Await<absl::Status>([this](Done done) { store_.Probe(std::move(done)); });
  }
  absl::StatusOr<int64_t> NewEpoch(const v1::Model& model) {
    return Await<absl::StatusOr<int64_t>>(
        [&](Answer<int64_t> done) { store_.NewEpoch(model, std::move(done)); });
  }
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const {
    return store_.FindByRequestId(tenant, request_id, hash);
  }
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const {
    return store_.Get(tenant, name);
  }
  absl::StatusOr<JobPage> List(const JobQuery& query) const { return store_.List(query); }
  absl::StatusOr<bool> Owns(const std::string& sha256) const { return store_.Owns(sha256); }
  absl::StatusOr<bool> WantsInput(const std::string& sha256) const {
    return store_.WantsInput(sha256);
  }
  absl::StatusOr<JobTotals> Totals() const { return store_.Totals(); }
  absl::StatusOr<std::vector<TenantUsage>> Usage(const UsageQuery& query) const {
    return store_.Usage(query);
  }
  absl::StatusOr<std::vector<v1::Model>> Models() const { return store_.Models(); }

 private:
  JobStore& store_;
};

}  // namespace cogwheel
