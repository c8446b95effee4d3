#include "server/dispatch/janitor.h"

#include <utility>

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kTrimPeriod{60}, kShortestPeriod{1};
constexpr std::chrono::hours kKeyAge{24};
constexpr char kLine[] = "janitor";  // of the pool

}  // namespace

void Janitor::Delete(const std::string& tenant, const std::string& name, Done done) {
  parts_.store.Delete(tenant, name, [this, done = std::move(done)](absl::StatusOr<Removed> gone) {
    if (gone.ok()) Forget(*gone);
    done(gone.status());
  });
}

void Janitor::Forget(const Removed& removed) {
  for (const std::string& job : removed.jobs) parts_.events.Forget(job);
  if (removed.orphans.empty()) return;
  parts_.pool.Post(kLine, [this, orphans = removed.orphans] {
    for (const Artefact& orphan : orphans) parts_.results.Remove(orphan, parts_.store);
  });
}

void Janitor::SetKept(KeepLimit jobs, KeepLimit bytes) {
  keep_.jobs = std::move(jobs);
  keep_.result_bytes = std::move(bytes);
}

void Janitor::Tick() {
  const auto since = parts_.clock.Now() - last_trim_;
  if (trims_ || since < (ended_ ? kShortestPeriod : kTrimPeriod)) return;
  trims_ = true;
  ended_ = false;
  last_trim_ = parts_.clock.Now();
  Retention retention;
  retention.finished_jobs = keep_.jobs;
  retention.result_bytes = keep_.result_bytes;
  retention.results_ended_before = parts_.clock.Wall() - keep_.result_age;
  retention.keys_created_before = parts_.clock.Wall() - kKeyAge;
  retention.usage_ended_before = parts_.clock.Wall() - kUsageAge;
  parts_.store.Trim(retention, [this](const absl::StatusOr<Removed>& removed) {
    trims_ = false;
    if (!removed.ok()) return;
    Forget(*removed);
    if (removed->more) ended_ = true;
  });
}

}  // namespace cogwheel
