#include "server/streams/holders.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kRetry{1};
constexpr std::chrono::seconds kTimeToCome{5};  // for a maker, whatever the grace is

}  // namespace

Holders::Entry& Holders::EntryOf(const Job& job) {
  Entry& entry = entries_[job.name];
  entry.tenant = job.tenant;
  return entry;
}

void Holders::Expect(const Job& job) {
  MutexLock lock(mutex_);
  Entry& entry = EntryOf(job);
  if (entry.holders == 0) entry.due = clock_.Now() + std::max(grace_, kTimeToCome);
}

void Holders::Hold(const Job& job) {
  MutexLock lock(mutex_);
  Entry& entry = EntryOf(job);
  ++entry.holders;
  entry.due.reset();
}

void Holders::LetGo(const std::string& job, StreamEnd how) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(job);
  if (found == entries_.end() || --found->second.holders > 0) return;
  if (how == StreamEnd::kCallerLeft) {
    found->second.due = clock_.Now() + grace_;
  } else {
    entries_.erase(found);
  }
}

void Holders::Tick(const Cancel& cancel) {
  std::vector<std::pair<std::string, std::string>> left;  // tenant, job
  {
    MutexLock lock(mutex_);
    const Time now = clock_.Now();
    for (auto& [job, entry] : entries_) {
      if (!entry.due.has_value() || *entry.due > now) continue;
      entry.due.reset();  // until there is an answer
      left.emplace_back(entry.tenant, job);
    }
  }
  for (const auto& [tenant, job] : left) {
    Log(LogLevel::kInfo, "nobody holds the job any more", {{"job", job}, {"tenant", tenant}});
    cancel(tenant, job, [this, name = job](const absl::StatusOr<Job>& asked) {
      OnCancelled(name, asked.status());
    });
  }
}

// Also of a job that has ended or is gone: there is nothing left to do.
void Holders::OnCancelled(const std::string& job, const absl::Status& status) {
  MutexLock lock(mutex_);
  const auto found = entries_.find(job);
  if (found == entries_.end() || found->second.holders > 0) return;
  if (status.ok() || absl::IsNotFound(status)) {
    entries_.erase(found);
  } else {
    found->second.due = clock_.Now() + kRetry;
  }
}

size_t Holders::size() const {
  MutexLock lock(mutex_);
  return entries_.size();
}

}  // namespace cogwheel
