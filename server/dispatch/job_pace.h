#pragma once

#include <chrono>
#include <optional>

#include "server/job/run.h"
#include "server/schedule/cost_model.h"

namespace cogwheel {

// How far one attempt is, how long it should still take, and what it took. The steps that it has
// done tell how long one takes; what such jobs took before says the rest, and where none has run
// yet the ranks' arithmetic. Owned by the dispatcher's thread.
class JobPace {
 public:
  using Time = std::chrono::steady_clock::time_point;
  JobPace(const JobSize& size, Time start) : size_(size), start_(start), changed_(start) {}

  // Once the ranks have agreed. known: what such jobs took in this setup, if one has run.
  // decode_in_steps: what the ranks say; 0 = not said.
  void Expect(const std::optional<JobCosts>& known, double decode_in_steps);
  void OnProgress(const RunProgress& progress, Time now);

  // Of the whole attempt; nullopt while it cannot be told.
  std::optional<double> SecondsLeft(Time now) const;
  // Of the whole attempt, by time; below 1, and never less than it was.
  double Fraction(Time now);
  // What it took, if it ended `now` and each stage was seen.
  std::optional<SeenCosts> Took(Time now) const;

 private:
  std::optional<double> StepSeconds() const;
  std::optional<double> AfterSteps(double step) const;
  std::optional<double> SecondsOfDecodeLeft(Time now) const;

  JobSize size_;
  Time start_;
  std::optional<JobCosts> known_;
  double decode_in_steps_ = 0;
  RunProgress latest_;
  Time changed_;  // when that was said
  std::optional<Time> steps_begin_, first_step_, latest_step_, steps_end_;
  int first_done_ = 0, steps_done_ = 0;  // steps, at those times
  double fraction_ = 0;
};

}  // namespace cogwheel
