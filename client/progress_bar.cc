#include "client/progress_bar.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "base/utf8.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kFirstWord{700};
constexpr std::chrono::seconds kLineEvery{5};
// Escapes: all from the cursor on; lines that end at the window's edge, and that go on below it.
constexpr char kWipe[] = "\x1b[J", kNoWrap[] = "\x1b[?7l", kWrap[] = "\x1b[?7h";
constexpr int kWidestBar = 40, kNarrowestBar = 5;
// Columns of each part, gaps before it included: as wide as it can become.
constexpr int kStageColumns = 7, kPercentColumns = 5, kStepColumns = 14, kTimeColumns = 12;

const char* StageName(v1::Stage stage) {
  switch (stage) {
    case v1::STAGE_TEXT_ENCODE:
      return "prompt";
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

// Where a stage begins and ends in the job, for servers that do not say how far the job is.
std::pair<double, double> UsualPart(v1::Stage stage) {
  if (stage == v1::STAGE_DENOISE) return {0.02, 0.8};
  if (stage == v1::STAGE_DECODE) return {0.8, 0.99};
  return {0, 0.02};
}

double FractionOf(const v1::Progress& progress, int step, int steps) {
  const double said = progress.fraction();
  if (said > 0) return std::min(said, 1.0);
  const auto [begin, end] = UsualPart(progress.stage());
  return begin + (end - begin) * step / steps;
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

// "" while it is not known.
std::string TimeLeft(const v1::Progress& progress) {
  if (!progress.has_time_left()) return "";
  const std::chrono::seconds time(progress.time_left().seconds() +
                                  (progress.time_left().nanos() > 0 ? 1 : 0));
  return absl::StrCat(ShortTime(time), " left");
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
  return absl::StrFormat("%dh%02d", seconds / 3600, seconds / 60 % 60);
}

std::string ProgressLine(const v1::Progress& progress, const Terminal& terminal) {
  const int steps = std::max(progress.steps(), 1);
  const int step = std::clamp(progress.step(), 0, steps);
  const double fraction = FractionOf(progress, step, steps);
  const std::string stage = StageName(progress.stage());
  const std::string percent = absl::StrFormat("%d%%", static_cast<int>(fraction * 100));
  const std::string of_stage = absl::StrCat("step ", step, "/", steps);
  const std::string time = TimeLeft(progress);
  if (!terminal.interactive) {
    return absl::StrCat(stage, "  ", percent, "  ", of_stage, time.empty() ? "" : "  ", time);
  }
  // One column stays free: a full line would wrap on some terminals.
  int room = terminal.columns() - 1 - kStageColumns - kPercentColumns;
  const bool with_step = room >= kStepColumns;
  if (with_step) room -= kStepColumns;
  const bool with_time = with_step && room >= kTimeColumns;
  if (with_time) room -= kTimeColumns;
  if (room < 0) return percent;
  std::string line = absl::StrFormat("%-*s", kStageColumns, stage);
  if (with_time && room > kNarrowestBar) {
    absl::StrAppend(&line, " ", Bar(fraction, std::min(room - 1, kWidestBar), terminal));
  }
  absl::StrAppendFormat(&line, "%*s", kPercentColumns, percent);
  if (with_step) absl::StrAppendFormat(&line, "  %-*s", kStepColumns - 2, of_stage);
  if (with_time) absl::StrAppendFormat(&line, "  %s", time);
  return line;
}

ProgressBar::ProgressBar(const Clock& clock, Terminal terminal, std::ostream& out)
    : clock_(clock),
      terminal_(std::move(terminal)),
      out_(out),
      next_line_(clock.Now() + kFirstWord) {}

ProgressBar::~ProgressBar() { Clear(); }

void ProgressBar::Update(const v1::JobEvent& event) {
  switch (event.event_case()) {
    case v1::JobEvent::kQueued:
      return Update(QueuedLine(event.queued()));
    case v1::JobEvent::kStarted:
      return Update(event.attempt() > 1 ? absl::StrCat("started again, attempt ", event.attempt())
                                        : "started");
    case v1::JobEvent::kProgress:
      return Show([progress = event.progress()](const Terminal& terminal) {
        return ProgressLine(progress, terminal);
      });
    default:
      return;
  }
}

void ProgressBar::Update(const std::string& activity) {
  Show([text = WithoutControls(activity)](const Terminal& terminal) {
    if (!terminal.interactive) return text;
    return std::string(ClipUtf8(text, std::max(terminal.columns() - 1, 1)));
  });
}

void ProgressBar::Show(Line line) {
  MutexLock lock(mutex_);
  line_ = std::move(line);
  terminal_.interactive ? Draw() : SayIfDue();
}

void ProgressBar::Tick() {
  MutexLock lock(mutex_);
  if (!line_) return;
  if (!terminal_.interactive) return SayIfDue();
  if (terminal_.columns() != drawn_columns_) Draw();
}

// The cursor rests before the line: when a narrower window wraps it, that is still where the line
// begins, and the next one is drawn over all of it. The line itself is not to wrap: a window may be
// narrower already than it says.
void ProgressBar::Draw() {
  drawn_columns_ = terminal_.columns();
  out_ << '\r' << kNoWrap << line_(terminal_) << kWipe << kWrap << '\r' << std::flush;
  drawn_ = true;
}

void ProgressBar::SayIfDue() {
  if (clock_.Now() < next_line_) return;
  std::string line = line_(terminal_);
  if (line == said_) return;
  out_ << line << '\n' << std::flush;
  said_ = std::move(line);
  next_line_ = clock_.Now() + kLineEvery;
}

void ProgressBar::Interrupt(std::string_view line) {
  MutexLock lock(mutex_);
  Wipe();
  out_ << line << std::flush;
}

void ProgressBar::Clear() {
  MutexLock lock(mutex_);
  Wipe();
  line_ = nullptr;
}

void ProgressBar::Wipe() {
  if (std::exchange(drawn_, false)) out_ << '\r' << kWipe << std::flush;
}

}  // namespace cogwheel
