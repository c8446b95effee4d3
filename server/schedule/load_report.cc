#include "server/schedule/load_report.h"

#include <algorithm>
#include <chrono>
#include <map>

namespace cogwheel {
namespace {

struct Load {
  int groups = 0, running = 0, queued = 0;
  double running_seconds = 0, oldest_seconds = 0;
};

}  // namespace

void LoadReport::Show(const std::vector<Placement::Slot>& groups,
                      const std::vector<const QueuedJob*>& queue) {
  std::map<std::string, Load> loads;
  for (const auto& [model, time] : served_) loads[model];
  for (const Placement::Slot& slot : groups) {
    Load& load = loads[slot.group.model];
    load.groups += slot.drained ? 0 : 1;
    load.running += slot.idle ? 0 : 1;
    load.running_seconds += slot.free_in;
  }
  for (const QueuedJob* job : queue) {
    Load& load = loads[job->model];
    ++load.queued;
    const std::chrono::duration<double> age = clock_.Now() - job->arrival;
    load.oldest_seconds = std::max(load.oldest_seconds, age.count());
  }
  for (const auto& [model, load] : loads) {
    const auto now = clock_.Now();
    auto& served = served_.try_emplace(model, now).first->second;
    if (load.groups > 0) served = now;
    const std::chrono::duration<double> unserved = now - served;
    ledger_.SetService(model, {load.groups, load.running_seconds, unserved.count()});
    metrics_.queue_jobs.Set(load.queued, {"queued", model});
    metrics_.queue_jobs.Set(load.running, {"running", model});
    metrics_.queue_gpu_seconds.Set(ledger_.SecondsOf(model) + load.running_seconds, {model});
    metrics_.queue_oldest_age_seconds.Set(load.oldest_seconds, {model});
  }
  metrics_.queue_bytes.Set(static_cast<double>(ledger_.load().bytes));
}

}  // namespace cogwheel
