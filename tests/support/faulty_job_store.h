#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/job/job_store.h"

namespace cogwheel {

// A store whose writes and Get fail when a test says so: `fault` is asked before each, by the
// method's name.
class FaultyJobStore final : public JobStore {
 public:
  using Fault = std::function<absl::Status(const std::string& method)>;
  explicit FaultyJobStore(JobStore& store) : store_(store) {}

  Fault fault = [](const std::string&) { return absl::OkStatus(); };

  absl::StatusOr<std::vector<Job>> Recover() override { return store_.Recover(); }
  void Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) override {
    const absl::Status failed = fault("Create");
    failed.ok() ? store_.Create(std::move(job), std::move(done)) : done(failed);
  }
  absl::StatusOr<std::optional<Job>> FindByRequestId(const std::string& tenant,
                                                     const std::string& request_id,
                                                     const std::string& hash) const override {
    return store_.FindByRequestId(tenant, request_id, hash);
  }
  absl::StatusOr<Job> Get(const std::string& tenant, const std::string& name) const override {
    const absl::Status failed = fault("Get");
    return failed.ok() ? store_.Get(tenant, name) : failed;
  }
  absl::StatusOr<JobPage> List(const JobQuery& query) const override { return store_.List(query); }
  absl::StatusOr<Job> Claim(const std::string& name, const std::string& group, int64_t epoch,
                            Job::WallTime start_time) override {
    const absl::Status failed = fault("Claim");
    return failed.ok() ? store_.Claim(name, group, epoch, start_time) : failed;
  }
  absl::Status Warn(const JobWarnings& known) override {
    const absl::Status failed = fault("Warn");
    return failed.ok() ? store_.Warn(known) : failed;
  }
  absl::StatusOr<Job> Requeue(const LostAttempt& lost) override {
    const absl::Status failed = fault("Requeue");
    return failed.ok() ? store_.Requeue(lost) : failed;
  }
  absl::StatusOr<Job> Finish(const FinishedJob& finished) override {
    const absl::Status failed = fault("Finish");
    return failed.ok() ? store_.Finish(finished) : failed;
  }
  absl::StatusOr<Job> RequestCancel(const std::string& name) override {
    const absl::Status failed = fault("RequestCancel");
    return failed.ok() ? store_.RequestCancel(name) : failed;
  }
  absl::StatusOr<Removed> Delete(const std::string& name) override {
    const absl::Status failed = fault("Delete");
    return failed.ok() ? store_.Delete(name) : failed;
  }
  absl::StatusOr<Removed> Trim(const Retention& retention) override {
    const absl::Status failed = fault("Trim");
    return failed.ok() ? store_.Trim(retention) : failed;
  }
  absl::StatusOr<bool> Owns(const std::string& sha256) const override {
    return store_.Owns(sha256);
  }
  absl::StatusOr<JobTotals> Totals() const override { return store_.Totals(); }
  absl::Status Probe() override { return fault("Probe"); }
  absl::StatusOr<int64_t> NextEpoch() override {
    const absl::Status failed = fault("NextEpoch");
    return failed.ok() ? store_.NextEpoch() : failed;
  }
  absl::Status PutModel(const v1::Model& model) override {
    const absl::Status failed = fault("PutModel");
    return failed.ok() ? store_.PutModel(model) : failed;
  }
  absl::StatusOr<std::vector<v1::Model>> Models() const override { return store_.Models(); }

 private:
  JobStore& store_;
};

}  // namespace cogwheel
