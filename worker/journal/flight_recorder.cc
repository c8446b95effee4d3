#include "worker/journal/flight_recorder.h"

#include <algorithm>
#include <cstdio>
#include <utility>

namespace cogwheel {
namespace {

double SecondsBetween(FlightRecorder::Time from, FlightRecorder::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

int64_t FlightRecorder::Started(const std::string& op, int64_t sent_bytes, Time now) {
  const MutexLock lock(mutex_);
  const int64_t sequence = ++last_sequence_;
  ring_[sequence % kKept] = {.sequence = sequence,
                             .op = op,
                             .sent_bytes = sent_bytes,
                             .block = block_.number,
                             .started = now,
                             .finished = {}};
  sent_bytes_[op] += sent_bytes;
  return sequence;
}

FlightRecorder::EndedUnit FlightRecorder::Replace(const WorkUnit& work, Time now, bool whole) {
  const Unit ended = std::exchange(unit_, {.work = work, .began = now});
  return {.work = ended.work, .worked = now - ended.began - ended.waited, .whole = whole};
}

void FlightRecorder::BeginUnit(const WorkUnit& work, Time now) {
  EndedUnit ended;
  {
    const MutexLock lock(mutex_);
    if (block_.kind == BlockKind::kNone) return;
    ended = Replace(work, now, /*whole=*/true);
  }
  if (hooks_.on_unit_end) hooks_.on_unit_end(ended);
}

std::optional<std::chrono::nanoseconds> FlightRecorder::LongestStay() const {
  if (!hooks_.longest_stay) return std::nullopt;
  return hooks_.longest_stay(unit().work);
}

void FlightRecorder::BlockAgreed(Time now) {
  if (hooks_.on_agreed) hooks_.on_agreed(now - block().began);
}

void FlightRecorder::Waited(std::chrono::nanoseconds time) {
  const MutexLock lock(mutex_);
  waited_ += time;
}

void FlightRecorder::BeginWait(Time now) {
  const MutexLock lock(mutex_);
  unit_.waiting = true;
  wait_began_ = now;
}

void FlightRecorder::EndWait(Time now) {
  const MutexLock lock(mutex_);
  unit_.waiting = false;
  unit_.waited += now - wait_began_;
  waited_ += now - wait_began_;
}

std::map<std::string, int64_t> FlightRecorder::sent_bytes() const {
  const MutexLock lock(mutex_);
  return sent_bytes_;
}

void FlightRecorder::Finished(int64_t sequence, Time now) {
  const MutexLock lock(mutex_);
  Entry& entry = ring_[sequence % kKept];
  if (entry.sequence == sequence) entry.finished = now;
}

int64_t FlightRecorder::EnterBlock(BlockKind kind, Time now, bool whole) {
  EndedBlock summary;
  EndedUnit unit;
  int64_t issued = 0;
  {
    const MutexLock lock(mutex_);
    const Block ended = block_;
    summary = {.kind = ended.kind,
               .took = now - ended.began,
               .waited = std::exchange(waited_, std::chrono::nanoseconds(0)),
               .whole = whole};
    unit = Replace({.name = BlockName(kind)}, now, whole);
    issued = last_sequence_ - ended.after;
    block_ = {.kind = kind, .number = ended.number + 1, .began = now, .after = last_sequence_};
  }
  if (summary.kind == BlockKind::kNone) return issued;
  if (hooks_.on_unit_end) hooks_.on_unit_end(unit);
  if (hooks_.on_block_end) hooks_.on_block_end(summary);
  return issued;
}

int64_t FlightRecorder::last_sequence() const {
  const MutexLock lock(mutex_);
  return last_sequence_;
}

FlightRecorder::Block FlightRecorder::block() const {
  const MutexLock lock(mutex_);
  return block_;
}

FlightRecorder::Unit FlightRecorder::unit() const {
  const MutexLock lock(mutex_);
  return unit_;
}

std::vector<FlightRecorder::Entry> FlightRecorder::Entries() const {
  const MutexLock lock(mutex_);
  std::vector<Entry> entries;
  const int64_t kept = kKept;
  for (int64_t i = std::max<int64_t>(last_sequence_ - kept, 0) + 1; i <= last_sequence_; ++i) {
    entries.push_back(ring_[i % kept]);
  }
  return entries;
}

std::string DescribeEntry(const FlightRecorder::Entry& entry, FlightRecorder::Time now) {
  const bool open = entry.finished == FlightRecorder::Time{};
  std::array<char, 160> text{};
  std::snprintf(
      text.data(), text.size(), "#%lld %s %lld B, block %lld, %.3f s ago, %s",
      static_cast<long long>(entry.sequence), entry.op.c_str(),
      static_cast<long long>(entry.sent_bytes), static_cast<long long>(entry.block),
      SecondsBetween(entry.started, now),
      open ? "open"
           : (std::to_string(SecondsBetween(entry.started, entry.finished)) + " s").c_str());
  return text.data();
}

}  // namespace cogwheel
