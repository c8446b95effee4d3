#pragma once

#include <chrono>
#include <ostream>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "client/terminal.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// Shows where a job is: one redrawn line on a terminal, a line every few seconds elsewhere, so a
// job that is over at once says nothing. Not thread-safe.
class ProgressBar {
 public:
  ProgressBar(const Clock& clock, Terminal terminal, std::ostream& out);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;

  void Update(const v1::JobEvent& event);
  // What is going on before there is a job: "loading the model".
  void Update(std::string_view activity);
  // A line that stays, above the bar.
  void Interrupt(std::string_view line);
  // Takes the bar away; the next thing printed starts on an empty line.
  void Clear();

 private:
  void Show(const std::string& line);

  const Clock& clock_;
  const Terminal terminal_;
  std::ostream& out_;
  std::chrono::steady_clock::time_point next_line_;  // elsewhere than on a terminal
  bool drawn_ = false;
};

// "denoise  ######----  60%  step 6/10  0:12 left"; colours only where `terminal` has them, never
// wider than it.
std::string ProgressLine(const v1::Progress& progress, const Terminal& terminal);

// "0:07", "12:34", "1:02:03".
std::string ShortTime(std::chrono::seconds time);

}  // namespace cogwheel
