#include "server/dispatch/model_pace.h"

namespace cogwheel {
namespace {

constexpr double kNewest = 0.3;  // weight of the newest job in the average

}  // namespace

void ModelPace::Learn(const std::string& model, double job_seconds, const StageSeconds& stages) {
  const auto [found, first] = paces_.try_emplace(model, Pace{job_seconds, stages.decode});
  if (first) return;
  Pace& pace = found->second;
  pace.job_seconds += kNewest * (job_seconds - pace.job_seconds);
  pace.decode_seconds += kNewest * (stages.decode - pace.decode_seconds);
}

std::optional<double> ModelPace::JobSeconds(const std::string& model) const {
  const auto found = paces_.find(model);
  if (found == paces_.end()) return std::nullopt;
  return found->second.job_seconds;
}

std::optional<double> ModelPace::SecondsLeft(const std::string& model, const RunProgress& progress,
                                             double seconds_in_stage) const {
  if (progress.stage == RunStage::kTextEncode || progress.step < 1) return std::nullopt;
  const double a_step = seconds_in_stage / progress.step;
  const double left = a_step * (progress.steps - progress.step);
  if (progress.stage == RunStage::kDecode) return left;
  const auto found = paces_.find(model);
  return left + (found == paces_.end() ? 0 : found->second.decode_seconds);
}

}  // namespace cogwheel
