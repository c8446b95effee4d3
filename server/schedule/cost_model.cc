#include "server/schedule/cost_model.h"

#include <algorithm>
#include <tuple>

namespace cogwheel {
namespace {

constexpr double kNewest = 0.5;  // weight of the newest job in the average
constexpr int kFramesPerLatent = 4, kPixelsPerToken = 16;
constexpr size_t kMostSetups = 64, kMostShapes = 32;  // of a setup

// How far the sizes are apart, at least 1.
double Apart(const JobSize::Shape& a, const JobSize::Shape& b) {
  const double low = std::min(a.tokens(), b.tokens()), high = std::max(a.tokens(), b.tokens());
  return low > 0 ? high / low : high + 1;
}

double AfterSteps(const SeenCosts& seen, const JobSize::Shape& shape, double step,
                  double decode_in_steps) {
  if (!shape.decoded) return std::min(seen.costs.after, step);  // an upload, if anything
  if (!seen.shape.decoded) return decode_in_steps * step;
  if (decode_in_steps > 0 && seen.decode_in_steps > 0 && seen.costs.step > 0) {
    return seen.costs.after / (seen.decode_in_steps * seen.costs.step) * decode_in_steps * step;
  }
  const double pixels = seen.shape.video_tokens();
  return pixels > 0 ? seen.costs.after * shape.video_tokens() / pixels : seen.costs.after;
}

JobCosts Scaled(const SeenCosts& seen, const JobSize::Shape& shape, double decode_in_steps) {
  const double work = seen.shape.tokens() * seen.shape.branches;
  const double ratio = work > 0 ? shape.tokens() * shape.branches / work : 1;
  const double step = seen.costs.step * ratio;
  return {seen.costs.before, step, AfterSteps(seen, shape, step, decode_in_steps)};
}

void MoveTowards(double newest, double& average) { average += kNewest * (newest - average); }

}  // namespace

JobSize SizeOf(const v1::GenerateRequest& request) {
  const int64_t rows = request.height() / kPixelsPerToken;
  const int64_t columns = request.width() / kPixelsPerToken;
  return {.shape = {.text_tokens = request.max_sequence_length(),
                    .latent_frames = (request.frames() - 1) / kFramesPerLatent + 1,
                    .frame_tokens = rows * columns,
                    .branches = request.guidance_scale() > 1 ? 2 : 1,
                    .decoded = request.output_type() != v1::OUTPUT_TYPE_LATENT,
                    .tiled = request.vae_tiling()},
          .steps = request.steps()};
}

CostModel::Kept& CostModel::Find(const Key& key, const JobSize::Shape& shape) {
  Setup& setup = setups_[key];
  const auto is = [&shape](const Kept& kept) { return kept.seen.shape == shape; };
  const auto found = std::ranges::find_if(setup.kept, is);
  if (found != setup.kept.end()) return *found;
  if (setup.kept.size() == kMostShapes) {
    setup.kept.erase(std::ranges::min_element(setup.kept, {}, &Kept::turn));
  }
  setup.turn = ++turn_;
  setup.kept.push_back({.seen = {.shape = shape, .costs = {}}, .turn = turn_});
  return setup.kept.back();
}

void CostModel::DropOldest(const Key& newest) {
  if (setups_.size() <= kMostSetups) return;
  const auto older = [&newest](const auto& a, const auto& b) {
    return std::tuple(a.first == newest, a.second.turn) <
           std::tuple(b.first == newest, b.second.turn);
  };
  setups_.erase(std::min_element(setups_.begin(), setups_.end(), older));
}

void CostModel::Learn(const std::string& model, const std::string& setup, const SeenCosts& seen) {
  if (seen.shape.tokens() <= 0 || seen.costs.step <= 0) return;
  {
    MutexLock lock(mutex_);
    Keep({model, setup}, seen);
  }
  on_learnt_();
}

void CostModel::Keep(const Key& key, const SeenCosts& seen) {
  Kept& kept = Find(key, seen.shape);
  kept.turn = ++turn_;
  JobCosts& costs = kept.seen.costs;
  if (costs.step <= 0) {
    costs = seen.costs;
  } else {
    MoveTowards(seen.costs.before, costs.before);
    MoveTowards(seen.costs.step, costs.step);
    MoveTowards(seen.costs.after, costs.after);
  }
  kept.seen.decode_in_steps = seen.decode_in_steps;
  kept.here = true;
  setups_[key].turn = turn_;
  DropOldest(key);
}

std::optional<JobCosts> CostModel::Expect(const std::string& model, const std::string& setup,
                                          const JobSize::Shape& shape,
                                          double decode_in_steps) const {
  MutexLock lock(mutex_);
  const auto found = setups_.find({model, setup});
  if (found == setups_.end() || found->second.kept.empty()) return std::nullopt;
  const auto nearness = [&shape](const Kept& kept) {
    return std::tuple(kept.seen.shape != shape, kept.seen.shape.decoded != shape.decoded,
                      Apart(kept.seen.shape, shape), -kept.turn);
  };
  const auto nearest = std::ranges::min_element(found->second.kept, {}, nearness);
  if (nearest->seen.shape == shape) return nearest->seen.costs;
  return Scaled(nearest->seen, shape, decode_in_steps);
}

std::optional<double> CostModel::Seconds(const std::string& model, const std::string& setup,
                                         const JobSize& size) const {
  const std::optional<JobCosts> costs = Expect(model, setup, size.shape);
  if (!costs.has_value()) return std::nullopt;
  return costs->Of(size.steps);
}

void CostModel::SetGroup(const std::string& group, const std::string& model,
                         const std::string& setup) {
  MutexLock lock(mutex_);
  groups_[group] = {model, setup};
}

void CostModel::DropGroup(const std::string& group) {
  MutexLock lock(mutex_);
  groups_.erase(group);
}

std::optional<double> CostModel::Seconds(const std::string& model, const JobSize& size) const {
  std::vector<std::string> of_groups, all;  // setups
  {
    MutexLock lock(mutex_);
    for (const auto& [group, key] : groups_) {
      if (key.first == model) of_groups.push_back(key.second);
    }
    for (auto it = setups_.lower_bound({model, ""});
         it != setups_.end() && it->first.first == model; ++it) {
      all.push_back(it->first.second);
    }
  }
  const std::optional<double> now = Fastest(model, of_groups, size);
  return now.has_value() ? now : Fastest(model, all, size);
}

std::optional<double> CostModel::Fastest(const std::string& model,
                                         const std::vector<std::string>& setups,
                                         const JobSize& size) const {
  std::optional<double> best;
  for (const std::string& setup : setups) {
    const std::optional<double> seconds = Seconds(model, setup, size);
    if (seconds.has_value()) best = std::min(best.value_or(*seconds), *seconds);
  }
  return best;
}

std::vector<CostModel::Entry> CostModel::All() const {
  std::vector<std::pair<int64_t, Entry>> kept;
  {
    MutexLock lock(mutex_);
    for (const auto& [key, setup] : setups_) {
      for (const Kept& one : setup.kept) {
        kept.emplace_back(one.turn, Entry{key.first, key.second, one.seen});
      }
    }
  }
  std::ranges::sort(kept, {}, &std::pair<int64_t, Entry>::first);
  std::vector<Entry> entries;
  for (auto& [turn, entry] : kept) entries.push_back(std::move(entry));
  return entries;
}

void CostModel::Absorb(const std::vector<Entry>& entries) {
  MutexLock lock(mutex_);
  for (const Entry& entry : entries) {
    if (entry.seen.shape.tokens() <= 0 || entry.seen.costs.step <= 0) continue;
    const Key key(entry.model, entry.setup);
    Kept& kept = Find(key, entry.seen.shape);
    if (!kept.here) kept.seen = entry.seen;
    DropOldest(key);
  }
}

}  // namespace cogwheel
