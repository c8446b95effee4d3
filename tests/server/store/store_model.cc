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
    if (!fresh && !jobs_.contains(key->second.job)) return {"", "UNKNOWN_JOB"};
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
}

std::string StoreModel::Delete(const std::string& name, Removed& removed) {
  const auto job = jobs_.find(name);
  if (job == jobs_.end()) return "UNKNOWN_JOB";
  if (job->second.state <= JobState::kRunning) return "NOT_FINISHED";
  Remove(name, removed);
  return "";
}

std::string StoreModel::Loser(const KeepLimit& limit, Cost cost) const {
  std::map<std::string, int64_t> has;
  int64_t sum = 0;
  for (const auto& [name, entry] : jobs_) {
    has[entry.tenant] += cost(entry);
    sum += cost(entry);
  }
  for (const auto& [tenant, own] : limit.tenants) {
    if (has[tenant] > own.most) return tenant;
  }
  if (sum <= limit.total) return "";
  const auto share = [&limit](const std::string& tenant) {
    return limit.tenants.contains(tenant) ? limit.tenants.at(tenant).share : 0;
  };
  std::string loser;  // a is further over its share than b when a / share a > b / share b
  for (const auto& [tenant, amount] : has) {
    if (amount == 0) continue;
    if (loser.empty()) loser = tenant;
    const double mine = static_cast<double>(amount) * share(loser);
    const double its = static_cast<double>(has[loser]) * share(tenant);
    if (mine > its || (mine == its && amount > has[loser])) loser = tenant;
  }
  return loser;
}

Removed StoreModel::Trim(const Retention& retention) {
  Removed removed;
  for (auto& [name, entry] : jobs_) {
    if (entry.ended_s < Seconds(retention.results_ended_before)) Expire(entry, removed);
  }
  const Cost bytes = [](const Entry& entry) {
    return entry.result.empty() || entry.result_expired ? 0 : kResultBytes;
  };
  const Cost finished = [](const Entry& entry) {
    return int64_t{entry.state > JobState::kRunning};
  };
  const auto oldest = [this](const std::string& tenant, Cost cost) {
    auto entry = jobs_.begin();
    while (entry->second.tenant != tenant || cost(entry->second) == 0) ++entry;
    return entry;
  };
  for (std::string who; !(who = Loser(retention.result_bytes, bytes)).empty();) {
    Expire(oldest(who, bytes)->second, removed);
  }
  for (std::string who; !(who = Loser(retention.finished_jobs, finished)).empty();) {
    Remove(std::string(oldest(who, finished)->first), removed);
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
