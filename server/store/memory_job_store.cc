#include "server/store/memory_job_store.h"

#include <algorithm>
#include <iterator>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

absl::Status UnknownJob(const std::string& name) {
  return MakeError(absl::StatusCode::kNotFound, "UNKNOWN_JOB",
                   absl::StrCat("name ", name, " is no job of this server"));
}

absl::Status Fenced(const std::string& name) {
  return MakeError(absl::StatusCode::kAborted, "FENCED",
                   absl::StrCat(name, " has ended or another attempt is current"));
}

}  // namespace

void MemoryJobStore::Create(NewJob job, std::function<void(absl::StatusOr<CreatedJob>)> done) {
  done(Insert(std::move(job)));
}

absl::StatusOr<CreatedJob> MemoryJobStore::Insert(NewJob job) {
  MutexLock lock(mutex_);
  const std::string name = job.job.name;
  if (!job.request_id.empty()) {
    const Key key{job.job.tenant, job.request_id};
    const absl::StatusOr<std::optional<Job>> first = Find(key, job.request_hash);
    if (!first.ok()) return first.status();
    if (first->has_value()) return CreatedJob{**first, /*existed=*/true};
    keys_[key] = {name, job.request_hash};
    key_of_job_[name] = key;
  }
  return CreatedJob{jobs_.emplace(name, std::move(job.job)).first->second, /*existed=*/false};
}

absl::StatusOr<std::optional<Job>> MemoryJobStore::Find(const Key& key,
                                                        const std::string& hash) const {
  const auto found = keys_.find(key);
  if (found == keys_.end()) return std::nullopt;
  if (found->second.hash != hash) {
    return MakeError(absl::StatusCode::kAlreadyExists, "KEY_REUSED",
                     absl::StrCat("request_id ", key.second, " belongs to another request, ",
                                  found->second.job));
  }
  return jobs_.at(found->second.job);
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

absl::StatusOr<Job> MemoryJobStore::Claim(const std::string& name, const std::string& group,
                                          int64_t epoch, Job::WallTime start_time) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return UnknownJob(name);
  Job& job = found->second;
  if (!IsLegalTransition(job.state, JobState::kRunning)) return Fenced(name);
  job.state = JobState::kRunning;
  ++job.attempt;
  job.epoch = epoch;
  job.group = group;
  job.start_time = start_time;
  return job;
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

absl::StatusOr<Job> MemoryJobStore::Requeue(const std::string& name, int64_t epoch,
                                            int32_t attempt) {
  MutexLock lock(mutex_);
  const absl::StatusOr<Job*> job = Current(name, epoch, attempt, JobState::kQueued);
  if (!job.ok()) return job.status();
  (*job)->state = JobState::kQueued;
  return **job;
}

absl::StatusOr<Job> MemoryJobStore::Finish(const FinishedJob& finished) {
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
  job.image = nullptr;  // nobody will need it again
  ++finished_jobs_;
  return job;
}

absl::StatusOr<Job> MemoryJobStore::RequestCancel(const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return UnknownJob(name);
  if (!IsTerminal(found->second.state)) found->second.cancel_requested = true;
  return found->second;
}

RemovedJob MemoryJobStore::Remove(const std::string& name) {
  RemovedJob removed{name, std::nullopt};
  const auto found = jobs_.find(name);
  const std::optional<Artefact> result = found->second.result;
  jobs_.erase(found);
  --finished_jobs_;
  const auto key = key_of_job_.find(name);
  if (key != key_of_job_.end()) {
    keys_.erase(key->second);
    key_of_job_.erase(key);
  }
  const bool shared =
      result.has_value() && std::any_of(jobs_.begin(), jobs_.end(), [&result](const auto& entry) {
        const std::optional<Artefact>& other = entry.second.result;
        return other.has_value() && other->sha256 == result->sha256 &&
               other->media_type == result->media_type;
      });
  if (!shared) removed.orphan = result;
  return removed;
}

absl::StatusOr<RemovedJob> MemoryJobStore::Delete(const std::string& name) {
  MutexLock lock(mutex_);
  const auto found = jobs_.find(name);
  if (found == jobs_.end()) return UnknownJob(name);
  if (!IsTerminal(found->second.state)) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_FINISHED",
                     absl::StrCat(name, " is ", JobStateName(found->second.state),
                                  " and cannot be deleted; cancel it first"));
  }
  return Remove(name);
}

absl::StatusOr<std::vector<RemovedJob>> MemoryJobStore::Trim(int64_t max_finished) {
  MutexLock lock(mutex_);
  std::vector<std::string> oldest;
  int64_t excess = finished_jobs_ - max_finished;
  for (auto job = jobs_.begin(); job != jobs_.end() && excess > 0; ++job) {
    if (!IsTerminal(job->second.state)) continue;
    oldest.push_back(job->first);
    --excess;
  }
  std::vector<RemovedJob> removed;
  for (const std::string& name : oldest) removed.push_back(Remove(name));
  return removed;
}

absl::StatusOr<int64_t> MemoryJobStore::NextEpoch(const std::string& /*group*/) {
  MutexLock lock(mutex_);
  return ++epoch_;
}

absl::Status MemoryJobStore::PutModel(const v1::Model& model) {
  MutexLock lock(mutex_);
  const auto found = std::find_if(models_.begin(), models_.end(), [&model](const auto& known) {
    return known.name() == model.name();
  });
  if (found == models_.end()) {
    models_.push_back(model);
  } else {
    *found = model;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::vector<v1::Model>> MemoryJobStore::Models() const {
  MutexLock lock(mutex_);
  return models_;
}

}  // namespace cogwheel
