#include "tests/server/store/store_model.h"

#include <chrono>

namespace cogwheel {
namespace {

int64_t Seconds(Job::WallTime time) {
  return std::chrono::duration_cast<std::chrono::seconds>(time.time_since_epoch()).count();
}

}  // namespace

std::pair<std::string, std::string> StoreModel::Create(const NewJob& job) {
  const std::string& name = job.job.name;
  if (!job.request_id.empty()) {
    const auto [key, fresh] =
        keys_.try_emplace({job.job.tenant, job.request_id},
                          Key{name, job.request_hash, Seconds(job.job.create_time)});
    if (!fresh && key->second.hash != job.request_hash) return {"", "KEY_REUSED"};
    if (!fresh) return {key->second.job, ""};
  }
  Entry& entry = jobs_[name];
  entry.tenant = job.job.tenant;
  entry.created_s = Seconds(job.job.create_time);
  entry.model_digest = job.job.model_digest;
  entry.warnings = job.job.warnings;
  ++totals_[{"", entry.tenant, std::nullopt, ""}];
  return {name, ""};
}

std::string StoreModel::Claim(const std::string& name, int64_t epoch) {
  const auto job = jobs_.find(name);
  if (job == jobs_.end() || job->second.state != JobState::kQueued) return "FENCED";
  job->second.state = JobState::kRunning;
  job->second.epoch = epoch;
  ++job->second.attempt;
  return "";
}

std::string StoreModel::Current(const std::string& name, int64_t epoch, int32_t attempt) const {
  const auto job = jobs_.find(name);
  if (job == jobs_.end()) return "UNKNOWN_JOB";
  const Entry& entry = job->second;
  const bool current = entry.epoch == epoch && entry.attempt == attempt;
  return current && entry.state <= JobState::kRunning ? "" : "FENCED";
}

std::string StoreModel::Warn(const JobWarnings& known) {
  const auto job = jobs_.find(known.name);
  const bool current = job != jobs_.end() && job->second.epoch == known.epoch &&
                       job->second.attempt == known.attempt;
  if (current) job->second.warnings = known.warnings;
  return current ? "" : "FENCED";
}

std::string StoreModel::Requeue(const LostAttempt& lost) {
  const std::string refused = Current(lost.name, lost.epoch, lost.attempt);
  if (!refused.empty()) return refused;
  Entry& entry = jobs_[lost.name];
  if (entry.state != JobState::kRunning) return "FENCED";
  entry.state = JobState::kQueued;
  if (lost.charged) ++entry.charges;
  return "";
}

std::string StoreModel::Finish(const FinishedJob& finished) {
  const std::string refused = Current(finished.name, finished.epoch, finished.attempt);
  if (!refused.empty()) return refused;
  Entry& entry = jobs_[finished.name];
  const bool succeeded = finished.state == JobState::kSucceeded;
  if (succeeded && entry.state != JobState::kRunning) return "FENCED";
  entry.state = finished.state;
  entry.result = succeeded ? finished.result->sha256 : "";
  entry.ended_s = Seconds(finished.end_time);
  const bool failed = finished.state == JobState::kFailed;
  ++totals_[{"", entry.tenant, entry.state, failed ? finished.error.reason : ""}];
  return "";
}

std::string StoreModel::RequestCancel(const std::string& name) {
  const auto job = jobs_.find(name);
  if (job == jobs_.end()) return "UNKNOWN_JOB";
  if (job->second.state <= JobState::kRunning) job->second.cancel_requested = true;
  return "";
}

bool StoreModel::Owns(const std::string& digest) const {
  for (const auto& [name, entry] : jobs_) {
    if (entry.result == digest && !entry.result_expired) return true;
  }
  return false;
}

void StoreModel::Expire(Entry& entry, Removed& removed) {
  if (entry.result.empty() || entry.result_expired) return;
  entry.result_expired = true;
  if (!Owns(entry.result)) removed.orphans.push_back({kResultBytes, entry.result, "video/mp4"});
}

void StoreModel::Remove(const std::string& name, Removed& removed) {
  Expire(jobs_[name], removed);
  jobs_.erase(name);
  removed.jobs.push_back(name);
  std::erase_if(keys_, [&name](const auto& key) { return key.second.job == name; });
}

std::string StoreModel::Delete(const std::string& name, Removed& removed) {
  const auto job = jobs_.find(name);
  if (job == jobs_.end()) return "UNKNOWN_JOB";
  if (job->second.state <= JobState::kRunning) return "NOT_FINISHED";
  Remove(name, removed);
  return "";
}

Removed StoreModel::Trim(const Retention& retention) {
  Removed removed;
  int64_t bytes = 0, finished = 0;
  for (const auto& [name, entry] : jobs_) {
    if (!entry.result.empty() && !entry.result_expired) bytes += kResultBytes;
    if (entry.state > JobState::kRunning) ++finished;
  }
  for (auto& [name, entry] : jobs_) {  // oldest first
    if (entry.result.empty() || entry.result_expired) continue;
    const bool old = entry.ended_s < Seconds(retention.results_ended_before);
    if (!old && bytes <= retention.result_bytes) continue;
    bytes -= kResultBytes;
    Expire(entry, removed);
  }
  const std::map<std::string, Entry> before = jobs_;
  for (const auto& [name, entry] : before) {
    if (finished <= retention.finished_jobs) break;
    if (entry.state <= JobState::kRunning) continue;
    --finished;
    Remove(name, removed);
  }
  std::erase_if(keys_, [&](const auto& key) {
    return key.second.created_s < Seconds(retention.keys_created_before);
  });
  return removed;
}

std::vector<std::string> StoreModel::Recover() {
  std::vector<std::string> names;
  for (auto& [name, entry] : jobs_) {
    if (entry.state > JobState::kRunning) continue;
    entry.state = JobState::kQueued;
    ++entry.attempt;
    names.push_back(name);
  }
  return names;
}

}  // namespace cogwheel
