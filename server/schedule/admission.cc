#include "server/schedule/admission.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

constexpr double kUnknownJobSeconds = 5;
constexpr double kShortestRetry = 0.1, kLongestRetry = 300;  // seconds

absl::Status Refuse(std::string_view reason, const std::string& message, double retry_seconds) {
  const double wait = std::clamp(retry_seconds, kShortestRetry, kLongestRetry);
  return WithRetryAfter(MakeError(absl::StatusCode::kResourceExhausted, reason, message),
                        std::chrono::milliseconds(std::lround(wait * 1000)));
}

absl::Status CheckDeadline(const QueueLoad& load, const JobCost& cost) {
  if (!cost.deadline.has_value() || cost.seconds <= 0) return absl::OkStatus();
  if (cost.seconds > *cost.deadline) {
    const double nearest = std::ceil(cost.seconds);
    return MakeError(
        absl::StatusCode::kInvalidArgument, "DEADLINE_IMPOSSIBLE",
        absl::StrCat("deadline ", *cost.deadline, " s cannot be met: the job alone should take ",
                     cost.seconds, " s; ",
                     nearest <= kMaxDeadlineSeconds
                         ? absl::StrCat("the nearest legal value is ", nearest, " s")
                         : "no deadline is long enough: ask for fewer steps or frames"));
  }
  const double start = load.backlog_seconds.value_or(0);
  if (start + cost.seconds <= *cost.deadline) return absl::OkStatus();
  return Refuse("DEADLINE_UNREACHABLE",
                absl::StrCat("deadline ", *cost.deadline, " s cannot be met behind a backlog of ",
                             start, " s; the job should take ", cost.seconds, " s"),
                start + cost.seconds - *cost.deadline);
}

}  // namespace

JobCost CostOf(const Job& job, double seconds) {
  JobCost cost{job.request.model(), job.tenant, QueuedBytes(job), seconds, std::nullopt};
  if (job.request.has_deadline()) {
    cost.deadline = std::chrono::duration<double>(ToNanoseconds(job.request.deadline())).count();
  }
  return cost;
}

absl::Status Admit(const QueueLimits& limits, const QueueLoad& load, const JobCost& cost) {
  const double mean = load.jobs > 0 && load.seconds > 0 ? load.seconds / load.jobs : cost.seconds;
  const double a_place = mean > 0 ? mean : kUnknownJobSeconds;
  if (load.jobs + 1 > limits.jobs) {
    return Refuse("QUEUE_FULL",
                  absl::StrCat("the queue holds ", load.jobs, " jobs; its limit is ", limits.jobs),
                  a_place);
  }
  if (load.tenant_jobs + 1 > limits.tenant_jobs) {
    return Refuse("TENANT_QUOTA",
                  absl::StrCat("tenant ", cost.tenant, " has ", load.tenant_jobs,
                               " jobs queued; its limit is ", limits.tenant_jobs),
                  a_place);
  }
  if (load.bytes + cost.bytes > limits.bytes) {
    return Refuse("QUEUE_BYTES",
                  absl::StrCat("the queue holds ", load.bytes, " bytes and the job has ",
                               cost.bytes, "; the limit is ", limits.bytes),
                  a_place);
  }
  const double excess = load.seconds + cost.seconds - limits.seconds;
  if (excess > 0 && load.jobs > 0) {  // a job alone is never too costly
    return Refuse("QUEUE_COST",
                  absl::StrCat("the queued jobs should take ", load.seconds, " s and the job ",
                               cost.seconds, " s; the limit is ", limits.seconds, " s"),
                  excess);
  }
  return CheckDeadline(load, cost);
}

QueueLimits AdmissionLedger::LimitsFor(const JobCost& cost) const {
  QueueLimits limits = limits_;
  const auto own = tenant_limits_.find(cost.tenant);
  if (own != tenant_limits_.end()) limits.tenant_jobs = own->second;
  return limits;
}

QueueLoad AdmissionLedger::LoadFor(const JobCost& cost) const {
  QueueLoad load = load_;
  const auto tenant = tenant_jobs_.find(cost.tenant);
  if (tenant != tenant_jobs_.end()) load.tenant_jobs = tenant->second;
  const auto model = models_.find(cost.model);
  if (model != models_.end() && model->second.groups > 0) {
    const Model& of = model->second;
    load.backlog_seconds = (of.queued_seconds + of.running_seconds) / of.groups;
  }
  return load;
}

void AdmissionLedger::Add(const JobCost& cost, int sign) {
  load_.jobs += sign;
  load_.bytes += sign * cost.bytes;
  load_.seconds += sign * cost.seconds;
  models_[cost.model].queued_seconds += sign * cost.seconds;
  int64_t& jobs = tenant_jobs_[cost.tenant];
  jobs += sign;
  if (jobs == 0) tenant_jobs_.erase(cost.tenant);
  if (load_.jobs > 0) return;
  load_.seconds = 0;  // sums of fractions do not come back to zero
  for (auto& [name, model] : models_) model.queued_seconds = 0;
}

absl::Status AdmissionLedger::Reserve(const std::string& job, const JobCost& cost) {
  MutexLock lock(mutex_);
  const absl::Status admitted = Admit(LimitsFor(cost), LoadFor(cost), cost);
  if (admitted.ok() && jobs_.emplace(job, cost).second) Add(cost, 1);
  return admitted;
}

void AdmissionLedger::Take(const std::string& job, const JobCost& cost) {
  MutexLock lock(mutex_);
  if (jobs_.emplace(job, cost).second) Add(cost, 1);
}

void AdmissionLedger::Release(const std::string& job) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(job);
  if (found == jobs_.end()) return;
  Add(found->second, -1);
  jobs_.erase(found);
}

void AdmissionLedger::SetTenantLimits(std::map<std::string, int64_t> jobs) {
  MutexLock lock(mutex_);
  tenant_limits_ = std::move(jobs);
}

void AdmissionLedger::SetGroups(const std::string& model, int groups, double running_seconds) {
  MutexLock lock(mutex_);
  models_[model].groups = groups;
  models_[model].running_seconds = running_seconds;
}

QueueLoad AdmissionLedger::load() const {
  MutexLock lock(mutex_);
  return load_;
}

double AdmissionLedger::SecondsOf(const std::string& model) const {
  MutexLock lock(mutex_);
  const auto found = models_.find(model);
  return found == models_.end() ? 0 : found->second.queued_seconds;
}

bool AdmissionLedger::HasRoom() const {
  MutexLock lock(mutex_);
  return load_.jobs < limits_.jobs && load_.bytes < limits_.bytes &&
         load_.seconds < limits_.seconds;
}

}  // namespace cogwheel
