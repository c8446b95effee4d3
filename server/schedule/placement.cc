#include "server/schedule/placement.h"

#include <algorithm>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

namespace cogwheel {
namespace {

constexpr double kOverdueShare = 0.1;  // of the estimate: what an overdue job should still take

constexpr size_t kShownDigits = 12;  // of a digest: enough to tell checkpoints apart

bool HasCheckpoint(const Placement::Group& group, const QueuedJob& job) {
  return group.model == job.model &&
         (job.model_digest.empty() || group.model_digest == job.model_digest);
}

bool CanDo(const Placement::Group& group, const QueuedJob& job) {
  return std::includes(group.capabilities.begin(), group.capabilities.end(), job.needs.begin(),
                       job.needs.end());
}

std::string Shown(const std::string& digest) {
  return digest.empty() ? "one that is not known" : digest.substr(0, kShownDigits);
}

}  // namespace

// In seconds; 0 before the model's first job.
double Placement::Estimate(const Group& group, const QueuedJob& job) const {
  const std::optional<double> own = costs_.Seconds(job.model, group.setup, job.size);
  return own.has_value() ? *own : costs_.Seconds(job.model, job.size).value_or(0);
}

void Placement::Add(Group group, bool idle, double free_in) {
  const bool drained = orders_->drained.contains(group.name);
  slots_.push_back({std::move(group), idle, free_in, drained});
}

void Placement::AddBusy(Group group, const QueuedJob& job, double seconds) {
  ++running_[job.tenant];
  const double usual = Estimate(group, job);
  Add(std::move(group), /*idle=*/false, std::max(usual - seconds, usual * kOverdueShare));
}

std::optional<Placement::Assignment> Placement::Take(const QueuedJob& job) {
  if (!WhyPaused(*orders_, job).empty()) return std::nullopt;
  const auto hold = rules_.Holds(job.tenant, running_[job.tenant]);
  if (hold.has_value()) {
    held_.emplace(job.tenant, hold->reason);
    return std::nullopt;
  }
  Slot* best = nullptr;
  double best_end = 0;
  for (Slot& slot : slots_) {
    if (slot.drained || !HasCheckpoint(slot.group, job) || !CanDo(slot.group, job)) continue;
    const double end = slot.free_in + Estimate(slot.group, job);
    const bool sooner =
        best == nullptr || end < best_end || (end == best_end && slot.idle && !best->idle);
    if (!sooner) continue;
    best = &slot;
    best_end = end;
  }
  if (best == nullptr) return std::nullopt;
  const double start_in = std::exchange(best->free_in, best_end);
  if (best->idle) ++running_[job.tenant];
  return Assignment{best->group.name, std::exchange(best->idle, false), start_in};
}

std::string Placement::Lacking(const QueuedJob& job) const {
  const std::string paused = WhyPaused(*orders_, job);
  if (!paused.empty()) return paused;
  const auto running = running_.find(job.tenant);
  const auto hold = rules_.Holds(job.tenant, running == running_.end() ? 0 : running->second);
  if (hold.has_value()) return hold->words;
  std::set<std::string> others;   // checkpoints of the job's model
  std::set<std::string> drained;  // groups that could run it
  bool served = false;
  for (const Slot& slot : slots_) {
    if (slot.group.model != job.model) continue;
    if (!HasCheckpoint(slot.group, job)) {
      others.insert(Shown(slot.group.model_digest));
    } else if (!CanDo(slot.group, job)) {
      served = true;
    } else if (slot.drained) {
      drained.insert(slot.group.name);
    } else {
      return "";
    }
  }
  if (!drained.empty()) {
    return absl::StrCat("an operator has drained ", absl::StrJoin(drained, " and "),
                        ", and no other group can run it");
  }
  if (served) {
    const auto name = [](std::string* out, int need) { out->append(CapabilityName(need)); };
    return absl::StrCat("no group of model ", job.model, " can do ",
                        absl::StrJoin(job.needs, " and ", name));
  }
  if (others.empty()) return "";
  return absl::StrCat("no group serves checkpoint ", Shown(job.model_digest), " of model ",
                      job.model, ", which the request was checked against; served is ",
                      absl::StrJoin(others, " and "));
}

}  // namespace cogwheel
