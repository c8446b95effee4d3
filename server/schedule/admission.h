#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include "base/mutex.h"
#include "server/job/job.h"

namespace cogwheel {

struct QueueLimits {
  int64_t jobs = 256;
  int64_t bytes = int64_t{1} << 30;  // prompts and images
  double seconds = 86'400;           // that the queued jobs should take
  int64_t tenant_jobs = 256;         // of one tenant
};

// What a queued job takes up.
struct JobCost {
  std::string model, tenant;
  int64_t bytes = 0;
  double seconds = 0;              // 0 = not known yet
  std::optional<double> deadline;  // seconds from now
};

// Of a resolved request's job that should take `seconds`.
JobCost CostOf(const Job& job, double seconds);

// How far the queue is filled, as one job sees it.
struct QueueLoad {
  int64_t jobs = 0;
  int64_t bytes = 0;
  double seconds = 0;
  int64_t tenant_jobs = 0;                // of the job's tenant
  std::optional<double> backlog_seconds;  // until the job's model has a free group, if it has one
};

// Pure. OK; INVALID_ARGUMENT (DEADLINE_IMPOSSIBLE) for a deadline that the job alone would miss; or
// RESOURCE_EXHAUSTED (QUEUE_FULL, QUEUE_BYTES, QUEUE_COST, TENANT_QUOTA, DEADLINE_UNREACHABLE)
// naming limit and current value, with the time after which to try again.
absl::Status Admit(const QueueLimits& limits, const QueueLoad& load, const JobCost& cost);

// What is queued now, over all threads. A job takes its place before it is stored and gives it back
// when it leaves the queue. Thread-safe.
class AdmissionLedger {
 public:
  explicit AdmissionLedger(QueueLimits limits) : limits_(limits) {}
  absl::Status Reserve(const std::string& job, const JobCost& cost) COGWHEEL_EXCLUDES(mutex_);
  // A place for a job that was accepted earlier: beyond the limits if need be.
  void Take(const std::string& job, const JobCost& cost) COGWHEEL_EXCLUDES(mutex_);
  void Release(const std::string& job) COGWHEEL_EXCLUDES(mutex_);
  // Of tenants that have a limit of their own.
  void SetTenantLimits(std::map<std::string, int64_t> jobs) COGWHEEL_EXCLUDES(mutex_);
  // How many groups serve the model, and how long their running jobs should still take in all.
  void SetGroups(const std::string& model, int groups, double running_seconds)
      COGWHEEL_EXCLUDES(mutex_);

  // As a job without model and tenant sees it.
  QueueLoad load() const COGWHEEL_EXCLUDES(mutex_);
  // Estimated seconds of the model's queued jobs.
  double SecondsOf(const std::string& model) const COGWHEEL_EXCLUDES(mutex_);
  bool HasRoom() const COGWHEEL_EXCLUDES(mutex_);
  const QueueLimits& limits() const { return limits_; }

 private:
  struct Model {
    double queued_seconds = 0, running_seconds = 0;
    int groups = 0;
  };
  QueueLimits LimitsFor(const JobCost& cost) const COGWHEEL_REQUIRES(mutex_);
  QueueLoad LoadFor(const JobCost& cost) const COGWHEEL_REQUIRES(mutex_);
  void Add(const JobCost& cost, int sign) COGWHEEL_REQUIRES(mutex_);

  const QueueLimits limits_;
  mutable Mutex mutex_;
  QueueLoad load_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, JobCost> jobs_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> tenant_limits_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, int64_t> tenant_jobs_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Model> models_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
