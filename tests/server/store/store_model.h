#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/job/job_store.h"

namespace cogwheel {

// What a JobStore must answer, written down as plainly as can be: the reference of the property
// test. Answers are reasons of errors; empty = OK.
class StoreModel {
 public:
  struct Entry {
    std::string tenant;
    JobState state = JobState::kQueued;
    int32_t attempt = 0, charges = 0;
    int64_t epoch = 0;
    bool cancel_requested = false;
    std::string result;  // digest
    bool result_expired = false;
    int64_t created_s = 0, ended_s = 0;
    std::string model_digest;
    std::vector<std::string> warnings;
    bool operator==(const Entry&) const = default;
  };
  struct Key {
    std::string job, hash;
    int64_t created_s = 0;
  };

  // The job that the key names, or the error's reason.
  std::pair<std::string, std::string> Create(const NewJob& job);
  std::string Claim(const std::string& name, int64_t epoch);
  std::string Warn(const JobWarnings& known);
  std::string Requeue(const LostAttempt& lost);
  std::string Finish(const FinishedJob& finished);
  std::string RequestCancel(const std::string& name);
  std::string Delete(const std::string& name, Removed& removed);
  Removed Trim(const Retention& retention);
  std::vector<std::string> Recover();

  const std::map<std::string, Entry>& jobs() const { return jobs_; }
  const std::map<JobTotals::Key, int64_t>& totals() const { return totals_; }
  bool Owns(const std::string& digest) const;

 private:
  std::string Current(const std::string& name, int64_t epoch, int32_t attempt) const;
  using Cost = int64_t (*)(const Entry&);
  // Who has too much of what the entries cost; empty = nobody.
  std::string Loser(const KeepLimit& limit, Cost cost) const;
  void Expire(Entry& entry, Removed& removed);
  void Remove(const std::string& name, Removed& removed);

  std::map<std::string, Entry> jobs_;
  std::map<std::pair<std::string, std::string>, Key> keys_;  // by (tenant, request_id)
  std::map<JobTotals::Key, int64_t> totals_;
};

// Each result of the property test is so large.
inline constexpr int64_t kResultBytes = 10;

}  // namespace cogwheel
