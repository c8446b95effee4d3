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
constexpr double kLongUnserved = 600;  // seconds: a group that restarts is back by then
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

absl::Status OverQuota(const JobCost& cost, const std::string& why, double retry_seconds) {
  return Refuse("TENANT_QUOTA", absl::StrCat("tenant ", cost.tenant, " ", why), retry_seconds);
}

absl::Status CheckTenant(const TenantPlaces& places, const QueueLoad& load, const JobCost& cost,
                         double a_place) {
  const QueueAmount &own = load.own, &most = places.most;
  if (own.jobs + cost.jobs > most.jobs) {
    return OverQuota(cost, absl::StrCat("has ", own.jobs, " jobs queued; its limit is ", most.jobs),
                     a_place);
  }
  const bool alone = own.jobs == 0 && own.bytes == 0;  // else its share might be too small for any
  if (!alone && own.bytes + cost.bytes > most.bytes) {
    return OverQuota(cost,
                     absl::StrCat("has ", own.bytes, " bytes queued and the job has ", cost.bytes,
                                  "; its limit is ", most.bytes),
                     a_place);
  }
  const double excess = own.seconds + cost.seconds - most.seconds;
  if (!alone && excess > 0) {
    return OverQuota(cost,
                     absl::StrCat("has jobs of ", own.seconds, " s queued and the job should take ",
                                  cost.seconds, " s; its limit is ", most.seconds, " s"),
                     excess);
  }
  // They may never start: the tenant's other jobs find the other half free.
  const int64_t half = std::max<int64_t>(most.jobs / 2, 1);
  if (!load.own_unserved.has_value() || *load.own_unserved + cost.jobs <= half) {
    return absl::OkStatus();
  }
  return OverQuota(
      cost,
      absl::StrCat("has ", *load.own_unserved, " jobs queued for models that no group",
                   " serves, as ", cost.model, "; their limit is ", half, ", half of its places"),
      kLongestRetry);
}

}  // namespace

JobCost CostOf(const Job& job, double seconds) {
  JobCost cost{job.request.model(), job.tenant, QueuedBytes(job), seconds};
  if (job.request.has_deadline()) {
    cost.deadline = std::chrono::duration<double>(ToNanoseconds(job.request.deadline())).count();
  }
  return cost;
}

absl::Status Admit(const QueueAmount& limits, const TenantPlaces& places, const QueueLoad& load,
                   const JobCost& cost) {
  const QueueAmount &all = load.all, &own = load.own;
  const double mean = all.jobs > 0 && all.seconds > 0 ? all.seconds / all.jobs : cost.seconds;
  const double a_place = mean > 0 ? mean : kUnknownJobSeconds;
  const auto more = [share = places.share](auto all, auto own, auto added, auto limit) {
    return all + added > limit && own + added > share * limit;
  };
  if (more(all.jobs, own.jobs, cost.jobs, limits.jobs)) {
    return Refuse("QUEUE_FULL",
                  absl::StrCat("the queue holds ", all.jobs, " jobs; its limit is ", limits.jobs),
                  a_place);
  }
  if (more(all.bytes, own.bytes, cost.bytes, limits.bytes)) {
    return Refuse("QUEUE_BYTES",
                  absl::StrCat("the queue holds ", all.bytes, " bytes and the job has ", cost.bytes,
                               "; the limit is ", limits.bytes),
                  a_place);
  }
  // A job alone is never too costly.
  if (all.jobs > 0 && more(all.seconds, own.seconds, cost.seconds, limits.seconds)) {
    return Refuse("QUEUE_COST",
                  absl::StrCat("the queued jobs should take ", all.seconds, " s and the job ",
                               cost.seconds, " s; the limit is ", limits.seconds, " s"),
                  all.seconds + cost.seconds - limits.seconds);
  }
  const absl::Status tenant = CheckTenant(places, load, cost, a_place);
  return tenant.ok() ? CheckDeadline(load, cost) : tenant;
}

TenantPlaces AdmissionLedger::PlacesOf(const std::string& tenant) const {
  const auto named = places_.find(tenant);
  return named == places_.end() ? TenantPlaces{limits_} : named->second;
}

bool AdmissionLedger::Unserved(const std::string& model) const {
  const auto found = models_.find(model);
  return found != models_.end() && found->second.service.unserved_seconds > kLongUnserved;
}

QueueLoad AdmissionLedger::LoadFor(const JobCost& cost) const {
  QueueLoad load{load_};
  const auto tenant = tenants_.find(cost.tenant);
  if (tenant != tenants_.end()) load.own = tenant->second.queued;
  if (Unserved(cost.model)) {
    load.own_unserved = 0;
    if (tenant == tenants_.end()) return load;
    for (const auto& [model, jobs] : tenant->second.jobs) {
      if (Unserved(model)) *load.own_unserved += jobs;
    }
    return load;
  }
  const auto model = models_.find(cost.model);
  if (model != models_.end() && model->second.service.groups > 0) {
    const auto& [service, queued_seconds] = model->second;
    load.backlog_seconds = (queued_seconds + service.running_seconds) / service.groups;
  }
  return load;
}

void AdmissionLedger::Add(const JobCost& cost, int sign) {
  Tenant& tenant = tenants_[cost.tenant];
  for (QueueAmount* amount : {&load_, &tenant.queued}) {
    amount->jobs += sign * cost.jobs;
    amount->bytes += sign * cost.bytes;
    amount->seconds += sign * cost.seconds;
    if (amount->jobs == 0) amount->seconds = 0;  // sums of fractions do not come back to zero
  }
  models_[cost.model].queued_seconds += sign * cost.seconds;
  tenant.jobs[cost.model] += sign * cost.jobs;
  if (tenant.queued.jobs == 0 && tenant.queued.bytes == 0) tenants_.erase(cost.tenant);
  if (load_.jobs > 0) return;
  for (auto& [name, model] : models_) model.queued_seconds = 0;
}

absl::Status AdmissionLedger::Reserve(const std::string& job, const JobCost& cost) {
  MutexLock lock(mutex_);
  const absl::Status admitted = Admit(limits_, PlacesOf(cost.tenant), LoadFor(cost), cost);
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

void AdmissionLedger::SetTenants(std::map<std::string, TenantPlaces> places) {
  MutexLock lock(mutex_);
  places_ = std::move(places);
}

void AdmissionLedger::SetService(const std::string& model, const Service& service) {
  MutexLock lock(mutex_);
  models_[model].service = service;
}

QueueAmount AdmissionLedger::load() const {
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
