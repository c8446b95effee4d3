#pragma once

#include <chrono>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/mutex.h"
#include "client/terminal.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// Shows where a job is, in one bar for all of it: one redrawn line on a terminal; elsewhere a first
// word within a second, so that what is over at once says nothing, and then what is new every few
// seconds. Thread-safe.
class ProgressBar {
 public:
  ProgressBar(const Clock& clock, Terminal terminal, std::ostream& out);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(const v1::JobEvent& event) COGWHEEL_EXCLUDES(mutex_);
  // What is going on before there is a job: "starting 4 ranks".
  void Update(const std::string& activity) COGWHEEL_EXCLUDES(mutex_);
  // A few times a second: says what is due, and draws anew for another width.
  void Tick() COGWHEEL_EXCLUDES(mutex_);
  // A line that stays, above the bar.
  void Interrupt(std::string_view line) COGWHEEL_EXCLUDES(mutex_);
  // Takes the bar away; the next thing printed starts on an empty line.
  void Clear() COGWHEEL_EXCLUDES(mutex_);

 private:
  using Line = std::function<std::string(const Terminal&)>;  // as it fits now
  void Show(Line line) COGWHEEL_EXCLUDES(mutex_);
  void Draw() COGWHEEL_REQUIRES(mutex_);
  void SayIfDue() COGWHEEL_REQUIRES(mutex_);
  void Wipe() COGWHEEL_REQUIRES(mutex_);

  const Clock& clock_;
  const Terminal terminal_;
  Mutex mutex_;
  std::ostream& out_ COGWHEEL_GUARDED_BY(mutex_);
  Line line_ COGWHEEL_GUARDED_BY(mutex_);  // the latest; none: nothing to show
  bool drawn_ COGWHEEL_GUARDED_BY(mutex_) = false;
  int drawn_columns_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  // Elsewhere than on a terminal:
  std::chrono::steady_clock::time_point next_line_ COGWHEEL_GUARDED_BY(mutex_);
  std::string said_ COGWHEEL_GUARDED_BY(mutex_);
};

// "denoise  ######----   60%  step 6/10     0:12 left", the per cent and the bar of the whole job,
// the steps of its stage; never wider than `terminal`. What of it is shown, and where, depends on
// the width alone: first the bar goes, then the time, then the step. Elsewhere than on a terminal
// without bar and gaps. Colours only where `terminal` has them.
std::string ProgressLine(const v1::Progress& progress, const Terminal& terminal);

// "0:07", "12:34", "1h02".
std::string ShortTime(std::chrono::seconds time);

}  // namespace cogwheel
