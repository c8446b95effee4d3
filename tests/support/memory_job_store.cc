#include "tests/support/memory_job_store.h"

#include <algorithm>
#include <iterator>

#include "server/job/job_errors.h"

namespace cogwheel {
namespace {

int64_t HourOf(Job::WallTime time) {
  return std::chrono::floor<std::chrono::hours>(time.time_since_epoch()).count();
}

}  // namespace

absl::StatusOr<std::vector<Job>> MemoryJobStore::AdoptNow() {
  MutexLock lock(mutex_);
  std::vector<Job> unfinished;
  for (auto& [name, job] : jobs_) {
    if (IsTerminal(job.state)) continue;
    job.state = JobState::kQueued;
    ++job.attempt;
    unfinished.push_back(job);
  }
  return unfinished;
}

absl::StatusOr<CreatedJob> MemoryJobStore::Insert(NewJob job) {
  MutexLock lock(mutex_);
  const std::string name = job.job.name;
  if (!job.request_id.empty()) {
    const Key key{job.job.tenant, job.request_id};
    const absl::StatusOr<std::optional<Job>> first = Find(key, job.request_hash);
    if (!first.ok()) return first.status();
    if (first->has_value()) return CreatedJob{**first, /*existed=*/true};
    keys_[key] = {name, job.request_hash, job.job.create_time};
  }
  ++totals_.counts[{job.job.request.model(), job.job.tenant, std::nullopt, ""}];
  const Job& kept = jobs_.emplace(name, std::move(job.job)).first->second;
  return CreatedJob{kept, /*existed=*/false};
}

absl::StatusOr<std::optional<Job>> MemoryJobStore::Find(const Key& key,
                                                        const std::string& hash) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  if (found->second.hash != hash) return KeyReused(key.second, found->second.job);
  const auto job = jobs_.find(found->second.job);
  if (job == jobs_.end()) return KeyOfRemovedJob(key.second, found->second.job);
  return job->second;
}

absl::StatusOr<std::optional<Job>> MemoryJobStore::FindByRequestId(const std::string& tenant,
                                                                   const std::string& request_id,
                                                                   const std::string& hash) const {
  MutexLock lock(mutex_);
  return Find({tenant, request_id}, hash);
}

absl::StatusOr<Job> MemoryJobStore::Get(const std::string& tenant, const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end() || found->second.tenant != tenant) return UnknownJob(name);
  return found->second;
}

absl::StatusOr<JobPage> MemoryJobStore::List(const JobQuery& query) const {
  MutexLock lock(mutex_);
  JobPage page;
  auto end = query.before_name.empty() ? jobs_.end() : jobs_.lower_bound(query.before_name);
  for (auto job = std::make_reverse_iterator(end); job != jobs_.rend(); ++job) {
    const bool wanted = query.states.empty() || std::find(query.states.begin(), query.states.end(),
                                                          job->second.state) != query.states.end();
    if (!wanted || job->second.tenant != query.tenant) continue;
    page.more = static_cast<int>(page.jobs.size()) == query.limit;
    if (page.more) break;
    page.jobs.push_back(job->second);
  }
  return page;
}

absl::StatusOr<Job> MemoryJobStore::ClaimNow(const ClaimOffer& offer) {
  MutexLock lock(mutex_);
  for (const std::string& name : offer.jobs) {
    const auto found = jobs_.find(name);
    if (found == jobs_.end() || found->second.state != JobState::kQueued) continue;
    Job& job = found->second;
    job.state = JobState::kRunning;
    ++job.attempt;
    job.epoch = offer.epoch;
    job.group = offer.group;
    job.start_time = offer.start_time;
    return job;
  }
  return Fenced(offer.jobs.empty() ? "" : offer.jobs.front());
}

absl::Status MemoryJobStore::WarnNow(const JobWarnings& known) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(known.name);
  const bool current = found != jobs_.end() && found->second.epoch == known.epoch &&
                       found->second.attempt == known.attempt;
  if (!current) return Fenced(known.name);
  found->second.warnings = known.warnings;
  return absl::OkStatus();
}

absl::StatusOr<Job*> MemoryJobStore::Current(const std::string& name, int64_t epoch,
                                             int32_t attempt, JobState state) {
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return UnknownJob(name);
  Job& job = found->second;
  if (job.epoch != epoch || job.attempt != attempt || !IsLegalTransition(job.state, state)) {
    return Fenced(name);
  }
  return &job;
}

absl::StatusOr<Job> MemoryJobStore::RequeueNow(const LostAttempt& lost) {
  MutexLock lock(mutex_);
  const absl::StatusOr<Job*> current =
      Current(lost.name, lost.epoch, lost.attempt, JobState::kQueued);
  if (!current.ok()) return current.status();
  Job& job = **current;
  job.state = JobState::kQueued;
  job.error = lost.cause;
  if (lost.charged) ++job.charges;
  Use(job, lost.end_time, lost.gpu_seconds);
  return job;
}

absl::StatusOr<Job> MemoryJobStore::FinishNow(const FinishedJob& finished) {
  MutexLock lock(mutex_);
  const absl::StatusOr<Job*> current =
      Current(finished.name, finished.epoch, finished.attempt, finished.state);
  if (!current.ok()) return current.status();
  Job& job = **current;
  job.state = finished.state;
  job.error = finished.error;
  job.result = finished.result;
  job.stage_seconds = finished.stage_seconds;
  job.end_time = finished.end_time;
  job.last_sequence = finished.last_sequence;
  Use(job, finished.end_time, finished.gpu_seconds);
  const bool failed = job.state == JobState::kFailed;
  ++totals_.counts[{job.request.model(), job.tenant, job.state, failed ? job.error.reason : ""}];
  return job;
}

absl::StatusOr<Job> MemoryJobStore::RequestCancelNow(const std::string& tenant,
                                                     const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end() || found->second.tenant != tenant) return UnknownJob(name);
  if (!IsTerminal(found->second.state)) found->second.cancel_requested = true;
  return found->second;
}

bool MemoryJobStore::Owned(const std::string& sha256) const {
  return std::any_of(jobs_.begin(), jobs_.end(), [&sha256](const auto& entry) {
    const Job& job = entry.second;
    return job.result.has_value() && !job.result_expired && job.result->sha256 == sha256;
  });
}

void MemoryJobStore::ExpireResult(Job& job, Removed& removed) {
  if (!job.result.has_value() || job.result_expired) return;
  job.result_expired = true;
  if (!Owned(job.result->sha256)) removed.orphans.push_back(*job.result);
}

void MemoryJobStore::Remove(const std::string& name, Removed& removed) {
  const auto found = jobs_.find(name);
  ExpireResult(found->second, removed);
  jobs_.erase(found);
  removed.jobs.push_back(name);
}

absl::StatusOr<Removed> MemoryJobStore::DeleteNow(const std::string& tenant,
                                                  const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end() || found->second.tenant != tenant) return UnknownJob(name);
  if (!IsTerminal(found->second.state)) return NotFinished(found->second);
  Removed removed;
  Remove(name, removed);
  return removed;
}

std::map<std::string, int64_t> MemoryJobStore::Kept(KeptCost cost) const {
  std::map<std::string, int64_t> kept;
  for (const auto& [name, job] : jobs_) kept[job.tenant] += cost(job);
  return kept;
}

std::string MemoryJobStore::OldestOf(const std::string& tenant, KeptCost cost) const {
  const auto oldest = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& entry) {
    return entry.second.tenant == tenant && cost(entry.second) > 0;
  });
  return oldest->first;
}

absl::StatusOr<Removed> MemoryJobStore::TrimNow(const Retention& retention) {
  MutexLock lock(mutex_);
  Removed removed;
  for (auto& [name, job] : jobs_) {
    if (job.end_time < retention.results_ended_before) ExpireResult(job, removed);
  }
  const KeptCost bytes = [](const Job& job) {
    return job.result.has_value() && !job.result_expired ? job.result->size_bytes : 0;
  };
  const KeptCost finished = [](const Job& job) { return int64_t{IsTerminal(job.state)}; };
  for (int left = retention.most_removed;; --left) {
    const auto loser = WhoLoses(retention.result_bytes, Kept(bytes));
    if (!loser.has_value()) break;
    if ((removed.more = left == 0)) break;
    ExpireResult(jobs_.at(OldestOf(*loser, bytes)), removed);
  }
  for (int left = retention.most_removed;; --left) {
    const auto loser = WhoLoses(retention.finished_jobs, Kept(finished));
    if (!loser.has_value()) break;
    if ((removed.more = left == 0)) break;
    Remove(OldestOf(*loser, finished), removed);
  }
  std::erase_if(keys_, [&](const auto& entry) {
    return entry.second.created < retention.keys_created_before;
  });
  usage_.erase(usage_.begin(), usage_.lower_bound(HourOf(retention.usage_ended_before)));
  return removed;
}

absl::StatusOr<bool> MemoryJobStore::Owns(const std::string& sha256) const {
  MutexLock lock(mutex_);
  return Owned(sha256);
}

absl::StatusOr<bool> MemoryJobStore::WantsInput(const std::string& sha256) const {
  MutexLock lock(mutex_);
  return std::any_of(jobs_.begin(), jobs_.end(), [&sha256](const auto& entry) {
    return !IsTerminal(entry.second.state) && entry.second.image_sha256 == sha256;
  });
}

absl::StatusOr<JobTotals> MemoryJobStore::Totals() const {
  MutexLock lock(mutex_);
  return totals_;
}

void MemoryJobStore::Use(const Job& job, Job::WallTime time, double gpu_seconds) {
  TenantUsage used{job.tenant, job.request.model(), gpu_seconds};
  if (job.state == JobState::kSucceeded) {
    used.succeeded = 1;
    used.result_bytes = job.result->size_bytes;
  } else if (job.state == JobState::kFailed) {
    used.failed = 1;
  } else if (IsTerminal(job.state)) {
    used.cancelled = 1;
  }
  usage_[HourOf(time)].push_back(used);
}

absl::StatusOr<std::vector<TenantUsage>> MemoryJobStore::Usage(const UsageQuery& query) const {
  MutexLock lock(mutex_);
  std::map<std::pair<std::string, std::string>, TenantUsage> sums;
  for (const auto& [hour, all] : usage_) {
    if (hour < HourOf(query.from) || std::chrono::hours(hour) >= query.to.time_since_epoch()) {
      continue;
    }
    for (const TenantUsage& used : all) {
      if (!query.tenant.empty() && used.tenant != query.tenant) continue;
      TenantUsage& sum = sums[{used.tenant, used.model}];
      sum = {used.tenant,
             used.model,
             sum.gpu_seconds + used.gpu_seconds,
             sum.succeeded + used.succeeded,
             sum.failed + used.failed,
             sum.cancelled + used.cancelled,
             sum.result_bytes + used.result_bytes};
    }
  }
  std::vector<TenantUsage> usage;
  for (const auto& [key, sum] : sums) usage.push_back(sum);
  return usage;
}

absl::StatusOr<int64_t> MemoryJobStore::NewEpochNow(const v1::Model& model) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(models_.begin(), models_.end(), [&model](const auto& known) {
    return known.name() == model.name();
  });
  if (found == models_.end()) {
    models_.push_back(model);
  } else {
    *found = model;
  }
  return ++epoch_;
}

absl::StatusOr<std::vector<v1::Model>> MemoryJobStore::Models() const {
  MutexLock lock(mutex_);
  return models_;
}

}  // namespace cogwheel
