#include "client/progress_bar.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLineEvery{5};
constexpr int kWidestBar = 30, kNarrowestBar = 5;

const char* StageName(v1::Stage stage) {
  switch (stage) {
    case v1::STAGE_TEXT_ENCODE:
      return "read prompt";
    case v1::STAGE_DENOISE:
      return "denoise";
    case v1::STAGE_DECODE:
      return "decode";
    case v1::STAGE_UNSPECIFIED:
    case v1::Stage_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Stage_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return "work";  // of a newer server
}

std::string Repeated(const char* piece, int times) {
  std::string text;
  for (int i = 0; i < times; ++i) text += piece;
  return text;
}

std::string Bar(double part, int columns, const Terminal& terminal) {
  const int filled = static_cast<int>(part * columns);
  std::string bar = Repeated(terminal.unicode ? "\u2588" : "#", filled);
  if (terminal.color) bar = absl::StrCat("\x1b[32m", bar, "\x1b[2m");
  absl::StrAppend(&bar, Repeated(terminal.unicode ? "\u2591" : "-", columns - filled));
  if (terminal.color) absl::StrAppend(&bar, "\x1b[0m");
  return bar;
}

std::string QueuedLine(const v1::Queued& queued) {
  if (!queued.waiting_for().empty()) return absl::StrCat("queued: ", queued.waiting_for());
  if (queued.position() <= 1) return "queued, next to run";
  return absl::StrCat("queued, ", queued.position() - 1, " before it");
}

}  // namespace

std::string ShortTime(std::chrono::seconds time) {
  const int64_t seconds = std::max<int64_t>(0, time.count());
  if (seconds < 3600) return absl::StrFormat("%d:%02d", seconds / 60, seconds % 60);
  return absl::StrFormat("%d:%02d:%02d", seconds / 3600, seconds / 60 % 60, seconds % 60);
}

std::string ProgressLine(const v1::Progress& progress, const Terminal& terminal) {
  const int steps = std::max(progress.steps(), 1);
  const int step = std::clamp(progress.step(), 0, steps);
  const double part = static_cast<double>(step) / steps;
  const std::string left = absl::StrFormat("%-11s ", StageName(progress.stage()));
  std::string right =
      absl::StrFormat(" %3d%%  step %d/%d", static_cast<int>(part * 100), step, steps);
  if (progress.has_time_left()) {
    const auto time = std::chrono::seconds(progress.time_left().seconds() +
                                           (progress.time_left().nanos() > 0 ? 1 : 0));
    absl::StrAppend(&right, "  ", ShortTime(time), " left");
  }
  // One column stays free: a full line would wrap on some terminals.
  const int room = terminal.columns - 1 - static_cast<int>(left.size() + right.size());
  if (!terminal.interactive || room < kNarrowestBar) {
    return absl::StrCat(StageName(progress.stage()), right)
        .substr(0, std::max(terminal.columns - 1, 20));
  }
  return absl::StrCat(left, Bar(part, std::min(room, kWidestBar), terminal), right);
}

ProgressBar::ProgressBar(const Clock& clock, Terminal terminal, std::ostream& out)
    : clock_(clock), terminal_(terminal), out_(out), next_line_(clock.Now() + kLineEvery) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Update(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kQueued:
      return Show(QueuedLine(event.queued()));
    case v1::JobEvent::kStarted:
      return Show(event.attempt() > 1 ? absl::StrCat("started again, attempt ", event.attempt())
                                      : "started");
    case v1::JobEvent::kProgress:
      return Show(ProgressLine(event.progress(), terminal_));
    default:
      return;
  }
}

void ProgressBar::Update(std::string_view activity) { Show(std::string(activity)); }

void ProgressBar::Show(const std::string& line) {
  if (terminal_.interactive) {
    out_ << '\r' << line << "\x1b[K" << std::flush;
    drawn_ = true;
    return;
  }
  if (clock_.Now() < next_line_) return;
  out_ << line << '\n' << std::flush;
  next_line_ = clock_.Now() + kLineEvery;
}

void ProgressBar::Interrupt(std::string_view line) {
  Clear();
  out_ << line << std::flush;
}

void ProgressBar::Clear() {
  if (drawn_) out_ << "\r\x1b[K" << std::flush;
  drawn_ = false;
}

}  // namespace cogwheel
