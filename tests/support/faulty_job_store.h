#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "server/job/job_store.h"

namespace cogwheel {

// A store whose writes and Get fail when a test says so: `fault` is asked before each, by the
// method's name. What it holds is answered when the test says so.
class FaultyJobStore final : public JobStore {
 public:
  using Fault = std::function<absl::Status(const std::string& method)>;
  explicit FaultyJobStore(JobStore& store) : store_(store) {}

  Fault fault = [](const std::string&) { return absl::OkStatus(); };
  bool holds_claims = false, holds_trims = false;
  std::vector<std::function<void()>> held;
  void AnswerHeld() {
    for (const auto& claim : std::exchange(held, {})) claim();
  }

  void Adopt(Answer<std::vector<Job>> done) override { store_.Adopt(std::move(done)); }
  void Watch(std::function<void(const Job&)> queued) override { store_.Watch(std::move(queued)); }
  void Create(NewJob job, Answer<CreatedJob> done) override {
    const absl::Status failed = fault("Create");
    failed.ok() ? store_.Create(std::move(job), std::move(done)) : done(failed);
  }
  void ClaimNext(ClaimOffer offer, Answer<Job> done) override {
    const auto claim = [this, offer = std::move(offer), done = std::move(done)] {
      const absl::Status failed = fault("ClaimNext");
      failed.ok() ? store_.ClaimNext(offer, done) : done(failed);
    };
    holds_claims ? held.push_back(claim) : claim();
  }
  void Warn(JobWarnings known, Done done) override {
    const absl::Status failed = fault("Warn");
    failed.ok() ? store_.Warn(std::move(known), std::move(done)) : done(failed);
  }
  void Requeue(LostAttempt lost, Answer<Job> done) override {
    const absl::Status failed = fault("Requeue");
    failed.ok() ? store_.Requeue(std::move(lost), std::move(done)) : done(failed);
  }
  void Finish(FinishedJob finished, Answer<Job> done) override {
    const absl::Status failed = fault("Finish");
    failed.ok() ? store_.Finish(std::move(finished), std::move(done)) : done(failed);
  }
  void RequestCancel(std::string tenant, std::string name, Answer<Job> done) override {
    const absl::Status failed = fault("RequestCancel");
    failed.ok() ? store_.RequestCancel(std::move(tenant), std::move(name), std::move(done))
                : done(failed);
  }
  void Delete(std::string tenant, std::string name, Answer<Removed> done) override {
    const absl::Status failed = fault("Delete");
    failed.ok() ? store_.Delete(std::move(tenant), std::move(name), std::move(done)) : done(failed);
  }
  void Trim(Retention retention, Answer<Removed> done) override {
    if (holds_trims) {
      return held.push_back([this, retention, done] { store_.Trim(retention, done); });
    }
    const absl::Status failed = fault("Trim");
    failed.ok() ? store_.Trim(retention, std::move(done)) : done(failed);
  }
  void Probe(Done done) override { done(fault("Probe")); }
  void NewEpoch(v1::Model model, Answer<int64_t> done) override {
    const absl::Status failed = fault("NewEpoch");
    failed.ok() ? store_.NewEpoch(std::move(model), std::move(done)) : done(failed);
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
  absl::StatusOr<bool> Owns(const std::string& sha256) const override {
    return store_.Owns(sha256);
  }
  absl::StatusOr<bool> WantsInput(const std::string& sha256) const override {
    return store_.WantsInput(sha256);
  }
  absl::StatusOr<JobTotals> Totals() const override { return store_.Totals(); }
  absl::StatusOr<std::vector<TenantUsage>> Usage(const UsageQuery& query) const override {
    return store_.Usage(query);
  }
  absl::StatusOr<std::vector<v1::Model>> Models() const override { return store_.Models(); }

 private:
  JobStore& store_;
};

}  // namespace cogwheel
