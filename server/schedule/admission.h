#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include <absl/status/status.h>

#include "base/mutex.h"
#include "server/job/job.h"

namespace cogwheel {

// Of the queue, of one tenant's part of it, or the most that either may be.
struct QueueAmount {
  int64_t jobs = 0;
  int64_t bytes = 0;   // prompts and images
  double seconds = 0;  // that the jobs should take
};

// What one tenant may have of the queue.
struct TenantPlaces {
  QueueAmount most;
  double share = 0;  // of the queue's limits, 0 to 1: it has that much however full the queue is
};

// What a queued job takes up.
struct JobCost {
  std::string model, tenant;
  int64_t bytes = 0;
  double seconds = 0;              // 0 = not known yet
  std::optional<double> deadline;  // seconds from now
  int64_t jobs = 1;                // 0: an input that no job names yet
};

// Of a resolved request's job that should take `seconds`.
JobCost CostOf(const Job& job, double seconds);

// How far the queue is filled, as one job sees it.
struct QueueLoad {
  QueueAmount all, own;                   // own: of the job's tenant
  std::optional<int64_t> own_unserved;    // the tenant's jobs of models without a group, if the
                                          // job's model is one
  std::optional<double> backlog_seconds;  // until the job's model has a free group, if it has one
};

// Pure. OK; INVALID_ARGUMENT (DEADLINE_IMPOSSIBLE) for a deadline that the job alone would miss; or
// RESOURCE_EXHAUSTED (QUEUE_FULL, QUEUE_BYTES, QUEUE_COST, TENANT_QUOTA, DEADLINE_UNREACHABLE)
// naming limit and current value, with the time after which to try again.
absl::Status Admit(const QueueAmount& limits, const TenantPlaces& places, const QueueLoad& load,
                   const JobCost& cost);

// What is queued now, over all threads. A job takes its place before it is stored and gives it back
// when it leaves the queue. Thread-safe.
class AdmissionLedger {
 public:
  explicit AdmissionLedger(const QueueAmount& limits) : limits_(limits) {}
  absl::Status Reserve(const std::string& job, const JobCost& cost) COGWHEEL_EXCLUDES(mutex_);
  // A place for a job that was accepted earlier: beyond the limits if need be.
  void Take(const std::string& job, const JobCost& cost) COGWHEEL_EXCLUDES(mutex_);
  void Release(const std::string& job) COGWHEEL_EXCLUDES(mutex_);
  // A tenant that is not named may have all but has no share.
  void SetTenants(std::map<std::string, TenantPlaces> places) COGWHEEL_EXCLUDES(mutex_);

  // Of the groups that serve a model.
  struct Service {
    int groups = 0;
    double running_seconds = 0;   // that their running jobs should still take in all
    double unserved_seconds = 0;  // for so long there has been none
  };
  void SetService(const std::string& model, const Service& service) COGWHEEL_EXCLUDES(mutex_);

  QueueAmount load() const COGWHEEL_EXCLUDES(mutex_);
  // Estimated seconds of the model's queued jobs.
  double SecondsOf(const std::string& model) const COGWHEEL_EXCLUDES(mutex_);
  bool HasRoom() const COGWHEEL_EXCLUDES(mutex_);
  const QueueAmount& limits() const { return limits_; }

 private:
  struct Model {
    Service service;
    double queued_seconds = 0;
  };
  struct Tenant {
    QueueAmount queued;
    std::map<std::string, int64_t> jobs;  // by model
  };
  TenantPlaces PlacesOf(const std::string& tenant) const COGWHEEL_REQUIRES(mutex_);
  QueueLoad LoadFor(const JobCost& cost) const COGWHEEL_REQUIRES(mutex_);
  bool Unserved(const std::string& model) const COGWHEEL_REQUIRES(mutex_);
  void Add(const JobCost& cost, int sign) COGWHEEL_REQUIRES(mutex_);

  const QueueAmount limits_;
  mutable Mutex mutex_;
  QueueAmount load_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, JobCost> jobs_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, TenantPlaces> places_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Tenant> tenants_ COGWHEEL_GUARDED_BY(mutex_);  // that have jobs here
  std::map<std::string, Model> models_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
