#include "worker/rank/watchdog.h"

#include <cstdio>
#include <utility>
#include <vector>

#include "base/fnv.h"
#include "base/log.h"
#include "worker/rank/exit_code.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kPollInterval{100};
constexpr std::chrono::milliseconds kNothingToEnd{1000};
// For peers to hear that this rank hangs, before they give it up themselves: the frontend is told
// first, which may take 10 s.
constexpr std::chrono::seconds kTellingLimit{12};

uint64_t ShapeOf(const JobSpec& spec) {
  Fnv shape;
  for (const int value : {spec.frames, spec.height, spec.width, spec.max_sequence_length,
                          static_cast<int>(spec.guided()), static_cast<int>(spec.vae_tiling)}) {
    shape.AddNumber(value);
  }
  return shape.hash();
}

std::string Seconds(std::chrono::nanoseconds time) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%.1f s", std::chrono::duration<double>(time).count());
  return text.data();
}

void LogFlight(const std::vector<FlightRecorder::Entry>& entries, FlightRecorder::Time now) {
  for (const FlightRecorder::Entry& entry : entries) {
    Log(LogLevel::kInfo, "flight record", {{"exchange", DescribeEntry(entry, now)}});
  }
}

}  // namespace

Watchdog::Watchdog(Options options)
    : options_(std::move(options)),
      recorder_({.on_block_end = options_.hooks.on_block_end,
                 .on_agreed = options_.hooks.on_agreed,
                 .on_unit_end = [this](const FlightRecorder::EndedUnit& unit) { Learn(unit); },
                 .longest_stay = [this](const WorkUnit& unit) { return LongestStay(unit); }}),
      deadline_(options_.first_limit) {}

Watchdog::~Watchdog() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void Watchdog::Start() {
  thread_ = std::thread([this] { Run(); });
}

void Watchdog::Run() {
  while (true) {
    Poll();
    const MutexLock lock(mutex_);
    if (changed_.WaitFor(mutex_, kPollInterval,
                         [this]() COGWHEEL_REQUIRES(mutex_) { return stopping_; }))
      return;
  }
}

void Watchdog::CountStops() {
  const int stops = options_.count_stops ? options_.count_stops() : 0;
  if (stops == stops_) return;
  if (options_.on_stop) options_.on_stop(stops);  // before the rank thread sees it and leaves
  stops_ = stops;
  if (stops > 1) Leave("asked to leave at once", kExitLeft, /*abort=*/false);
}

void Watchdog::Poll() {
  CountStops();
  const Time now = options_.clock.Now();
  const MutexLock lock(mutex_);
  if (!leaving_.has_value()) {
    const std::optional<std::string> fault = FindFault(now);
    if (!fault.has_value()) return;
    StartLeaving({.why = *fault, .exit_code = kExitInternal, .aborted = true});
    return AbortAside(*fault, /*is_fault=*/true);
  }
  if (now < leaving_->until) return;
  if (leaving_->aborted) return options_.exit(leaving_->exit_code);
  leaving_->aborted = true;
  leaving_->until = now + options_.leave_limit / 2;
  AbortAside(leaving_->why, /*is_fault=*/false);
}

std::optional<std::string> Watchdog::FindFault(Time now) const {
  const FlightRecorder::Block block = recorder_.block();
  if (block.kind == BlockKind::kNone) return std::nullopt;
  const FlightRecorder::Unit unit = recorder_.unit();
  const auto limit = deadline_.Limit(unit.work), worked = now - unit.began - unit.waited;
  if (unit.waiting || worked < limit) return std::nullopt;
  const std::string_view stage = BlockName(block.kind);
  const std::string part = unit.work.name == stage ? "" : std::string(unit.work.name) + " in ";
  return part + "block " + std::to_string(block.number) + " (" + std::string(stage) +
         ") has taken " + Seconds(worked) + ", its limit is " + Seconds(limit);
}

void Watchdog::StartLeaving(Leaving leaving) {
  auto limit = leaving.aborted ? options_.leave_limit : options_.leave_limit / 2;
  if (!abort_world_) {  // there is nothing to bring to an end
    leaving.aborted = true;
    limit = kNothingToEnd;
  }
  leaving.until = options_.clock.Now() + limit;
  leaving_ = std::move(leaving);
}

void Watchdog::AbortAside(const std::string& why, bool is_fault) {
  std::vector<FlightRecorder::Entry> entries;
  if (is_fault) entries = recorder_.Entries();
  std::thread([why, entries = std::move(entries), abort = abort_world_, now = options_.clock.Now(),
               report = is_fault ? options_.report : nullptr] {
    if (report) {
      Log(LogLevel::kError, "watchdog: this rank hangs", {{"error", why}});
      LogFlight(entries, now);
      report(why);
    }
    if (abort) abort(why);
  }).detach();
}

void Watchdog::Leave(const std::string& why, int exit_code, bool abort) {
  const MutexLock lock(mutex_);
  if (leaving_.has_value() && (leaving_->aborted || !abort)) return;  // it does already
  StartLeaving({.why = why, .exit_code = exit_code, .aborted = abort});
  if (abort) AbortAside(why, /*is_fault=*/false);
}

void Watchdog::Guard(AbortWorld abort) {
  const MutexLock lock(mutex_);
  abort_world_ = std::move(abort);
}

void Watchdog::BeginJob(const JobSpec& spec) {
  const MutexLock lock(mutex_);
  deadline_.SetShape(ShapeOf(spec));
}

void Watchdog::Learn(const FlightRecorder::EndedUnit& unit) {
  if (!unit.whole) return;
  const MutexLock lock(mutex_);
  deadline_.Learn(unit.work, unit.worked);
}

std::chrono::nanoseconds Watchdog::LongestStay(const WorkUnit& unit) const {
  const MutexLock lock(mutex_);
  return deadline_.Limit(unit) + kTellingLimit;
}

void Watchdog::EndJob(bool finished) {
  recorder_.EnterBlock(BlockKind::kNone, options_.clock.Now(), /*whole=*/finished);
}

bool Watchdog::leaving() const {
  const MutexLock lock(mutex_);
  return leaving_.has_value();
}

}  // namespace cogwheel
