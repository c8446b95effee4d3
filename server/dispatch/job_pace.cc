#include "server/dispatch/job_pace.h"

#include <algorithm>

namespace cogwheel {
namespace {

constexpr double kMostFraction = 0.99;    // before the end
constexpr double kTextFraction = 0.01;    // of a job of unknown length, once its prompt is read
constexpr double kDecodeFraction = 0.25;  // of one whose decode nobody can tell
constexpr double kMostTail = 0.25;        // of a decode: the encode behind it
constexpr double kOverdueShare = 0.05;    // what is overdue should still take, of its estimate

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

double Remaining(double expected, double elapsed) {
  return std::max(expected - elapsed, expected * kOverdueShare);
}

}  // namespace

void JobPace::Expect(const std::optional<JobCosts>& known, double decode_in_steps) {
  known_ = known;
  decode_in_steps_ = decode_in_steps;
}

void JobPace::OnProgress(const RunProgress& progress, Time now) {
  latest_ = progress;
  changed_ = now;
  if (progress.stage == RunStage::kDecode && !steps_end_.has_value()) steps_end_ = now;
  if (progress.stage != RunStage::kDenoise) return;
  if (!steps_begin_.has_value()) steps_begin_ = now;
  if (progress.step >= 1 && !first_step_.has_value()) {
    first_step_ = now;
    first_done_ = progress.step;
  }
  steps_done_ = progress.step;
  latest_step_ = now;
  if (progress.step == progress.steps) steps_end_ = now;
}

// One, of what was known and, step by step more, of what is measured. The first step prepares more
// than others, so it counts only until there is another.
std::optional<double> JobPace::StepSeconds() const {
  double seconds = 0, weight = 0;
  if (known_.has_value() && known_->step > 0) {
    seconds = known_->step;
    weight = 1;
  }
  if (steps_done_ > first_done_) {
    seconds += Seconds(*latest_step_ - *first_step_);
    weight += steps_done_ - first_done_;
  } else if (steps_done_ > 0 && weight == 0) {
    seconds = Seconds(*first_step_ - *steps_begin_);
    weight = first_done_;
  }
  if (weight == 0) return std::nullopt;
  return seconds / weight;
}

std::optional<double> JobPace::AfterSteps(double step) const {
  if (known_.has_value() && known_->step > 0) return known_->after / known_->step * step;
  if (!size_.shape.decoded) return 0;
  if (decode_in_steps_ > 0) return decode_in_steps_ * step;
  return std::nullopt;
}

// As expected, and with each chunk more as the chunks go.
std::optional<double> JobPace::SecondsOfDecodeLeft(Time now) const {
  const std::optional<double> step = StepSeconds();
  const std::optional<double> expected = step.has_value() ? AfterSteps(*step) : std::nullopt;
  const bool chunks = latest_.stage == RunStage::kDecode && latest_.step > 0;
  const double elapsed = Seconds(now - *steps_end_);
  if (!chunks)
    return expected.has_value() ? std::optional(Remaining(*expected, elapsed)) : expected;
  const double done = static_cast<double>(latest_.step) / latest_.steps;
  const double by_chunks = Seconds(changed_ - *steps_end_) / done;
  const double whole = (1 - done) * expected.value_or(by_chunks) + done * by_chunks;
  if (done < 1) return Remaining(whole, elapsed);
  return std::min(Remaining(expected.value_or(by_chunks), elapsed), kMostTail * by_chunks);
}

std::optional<double> JobPace::SecondsLeft(Time now) const {
  if (steps_end_.has_value()) return SecondsOfDecodeLeft(now);
  const std::optional<double> step = StepSeconds();
  const std::optional<double> after = step.has_value() ? AfterSteps(*step) : std::nullopt;
  if (!after.has_value()) return std::nullopt;
  if (!steps_begin_.has_value()) {
    if (!known_.has_value()) return std::nullopt;
    return Remaining(known_->before, Seconds(now - start_)) + size_.steps * *step + *after;
  }
  // The step under way counts as far as it should be.
  const int to_do = latest_.steps - latest_.step;
  const double under_way = std::min(Seconds(now - changed_), *step * (1 - kOverdueShare));
  return to_do * *step - under_way + *after;
}

double JobPace::Fraction(Time now) {
  const std::optional<double> left = SecondsLeft(now);
  const double elapsed = Seconds(now - start_);
  double fraction = 0;
  if (left.has_value()) {
    if (elapsed > 0) fraction = elapsed / (elapsed + *left);
  } else if (steps_end_.has_value()) {
    fraction = 1 - kDecodeFraction;
  } else if (latest_.stage == RunStage::kDenoise && latest_.steps > 0) {
    const double done = static_cast<double>(latest_.step) / latest_.steps;
    fraction = kTextFraction + (1 - kTextFraction - kDecodeFraction) * done;
  } else if (latest_.step > 0) {
    fraction = kTextFraction;
  }
  fraction_ = std::max(fraction_, std::min(fraction, kMostFraction));
  return fraction_;
}

std::optional<SeenCosts> JobPace::Took(Time now) const {
  if (!steps_begin_.has_value() || !steps_end_.has_value() || steps_done_ < 1) return std::nullopt;
  return SeenCosts{.shape = size_.shape,
                   .costs = {.before = Seconds(*steps_begin_ - start_),
                             .step = Seconds(*steps_end_ - *steps_begin_) / steps_done_,
                             .after = Seconds(now - *steps_end_)},
                   .decode_in_steps = decode_in_steps_};
}

}  // namespace cogwheel
