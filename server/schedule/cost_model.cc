#include "server/schedule/cost_model.h"

#include <algorithm>

namespace cogwheel {
namespace {

constexpr double kNewest = 0.3;  // weight of the newest job in the average
constexpr int kFramesPerLatent = 4, kPixelsPerToken = 16;

}  // namespace

JobSize SizeOf(const v1::GenerateRequest& request) {
  const int64_t latent_frames = (request.frames() - 1) / kFramesPerLatent + 1;
  const int64_t tokens = request.max_sequence_length() + latent_frames *
                                                             (request.height() / kPixelsPerToken) *
                                                             (request.width() / kPixelsPerToken);
  const int branches = request.guidance_scale() > 1 ? 2 : 1;
  return {static_cast<double>(tokens), static_cast<double>(tokens) * request.steps() * branches};
}

void CostModel::Learn(const std::string& model, const std::string& group, const JobSize& size,
                      double seconds, double denoise_seconds) {
  if (size.tokens <= 0 || size.step_units <= 0) return;
  const Rates seen = {denoise_seconds / size.step_units,
                      std::max(seconds - denoise_seconds, 0.0) / size.tokens};
  MutexLock lock(mutex_);
  const auto [found, first] = rates_.try_emplace(Key(model, group), seen);
  if (first) return;
  Rates& rates = found->second;
  rates.step += kNewest * (seen.step - rates.step);
  rates.rest += kNewest * (seen.rest - rates.rest);
}

std::optional<double> CostModel::Seconds(const std::string& model, const std::string& group,
                                         const JobSize& size) const {
  MutexLock lock(mutex_);
  const auto found = rates_.find({model, group});
  if (found == rates_.end()) return std::nullopt;
  return found->second.Of(size);
}

std::optional<double> CostModel::Seconds(const std::string& model, const JobSize& size) const {
  MutexLock lock(mutex_);
  std::optional<double> best;
  for (auto it = rates_.lower_bound({model, ""}); it != rates_.end() && it->first.first == model;
       ++it) {
    best = std::min(best.value_or(it->second.Of(size)), it->second.Of(size));
  }
  return best;
}

double CostModel::SecondsAfterSteps(const std::string& model, const std::string& group,
                                    const JobSize& size) const {
  MutexLock lock(mutex_);
  const auto found = rates_.find({model, group});
  return found == rates_.end() ? 0 : found->second.rest * size.tokens;
}

}  // namespace cogwheel
