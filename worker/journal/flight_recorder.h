#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "worker/journal/program_journal.h"

namespace cogwheel {

// What a rank has been doing with its peers: the last exchanges and the block of work they belong
// to. The rank thread writes; a watchdog reads while that thread hangs. Thread-safe, bounded.
class FlightRecorder {
 public:
  using Time = std::chrono::steady_clock::time_point;
  static constexpr size_t kKept = 1024;  // exchanges

  struct Entry {
    int64_t sequence = 0;  // 1 is the first exchange of this process
    std::string op;        // the communicator's name: world, ring, ulysses, carries, frames
    int64_t sent_bytes = 0;
    int64_t block = 0;
    Time started{};
    Time finished{};  // Time{} while it is open
  };
  struct Block {
    BlockKind kind = BlockKind::kNone;
    int64_t number = 0;
    Time began{};
    int64_t after = 0;  // the last exchange before it
  };
  // What is under way in the block.
  struct Unit {
    WorkUnit work;
    Time began{};
    std::chrono::nanoseconds waited{0};  // since then, for exchanges with others that are over
    bool waiting = false;                // for one, now
  };
  struct EndedUnit {
    WorkUnit work;
    std::chrono::nanoseconds worked{0};  // without what it waited
    bool whole = true;                   // false: the job was left within it
  };
  struct EndedBlock {
    BlockKind kind = BlockKind::kNone;
    std::chrono::nanoseconds took{0};
    std::chrono::nanoseconds waited{0};  // of that, for exchanges with other ranks
    bool whole = true;                   // false: the job was left within it
  };
  // Called by the rank thread.
  struct Hooks {
    std::function<void(const EndedBlock&)> on_block_end;
    std::function<void(std::chrono::nanoseconds took)> on_agreed;  // from the block's begin
    std::function<void(const EndedUnit&)> on_unit_end;
    // How long at most this rank works on such a unit before it goes on or leaves.
    std::function<std::chrono::nanoseconds(const WorkUnit&)> longest_stay;
  };

  explicit FlightRecorder(Hooks hooks = {}) : hooks_(std::move(hooks)) {}

  int64_t Started(const std::string& op, int64_t sent_bytes, Time now) COGWHEEL_EXCLUDES(mutex_);
  void Finished(int64_t sequence, Time now) COGWHEEL_EXCLUDES(mutex_);
  // Ends the block before, `whole` or not, and returns how many exchanges it had. kNone: no work is
  // being done.
  int64_t EnterBlock(BlockKind kind, Time now, bool whole = true) COGWHEEL_EXCLUDES(mutex_);

  // Ends the unit before. Ignored while no work is being done.
  void BeginUnit(const WorkUnit& work, Time now) COGWHEEL_EXCLUDES(mutex_);
  // Of what is under way, if the hooks know.
  std::optional<std::chrono::nanoseconds> LongestStay() const COGWHEEL_EXCLUDES(mutex_);

  void BlockAgreed(Time now) COGWHEEL_EXCLUDES(mutex_);
  // The present block's work has waited that long for other ranks, beside its units.
  void Waited(std::chrono::nanoseconds time) COGWHEEL_EXCLUDES(mutex_);
  // Around a wait of the rank thread for other ranks that is no part of its unit.
  void BeginWait(Time now) COGWHEEL_EXCLUDES(mutex_);
  void EndWait(Time now) COGWHEEL_EXCLUDES(mutex_);

  int64_t last_sequence() const COGWHEEL_EXCLUDES(mutex_);
  Block block() const COGWHEEL_EXCLUDES(mutex_);
  Unit unit() const COGWHEEL_EXCLUDES(mutex_);
  // To other ranks so far, by op.
  std::map<std::string, int64_t> sent_bytes() const COGWHEEL_EXCLUDES(mutex_);
  // The kept entries, oldest first.
  std::vector<Entry> Entries() const COGWHEEL_EXCLUDES(mutex_);

 private:
  // Takes the place of what was under way.
  EndedUnit Replace(const WorkUnit& work, Time now, bool whole) COGWHEEL_REQUIRES(mutex_);

  const Hooks hooks_;
  mutable Mutex mutex_;
  std::map<std::string, int64_t> sent_bytes_ COGWHEEL_GUARDED_BY(mutex_);
  std::array<Entry, kKept> ring_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t last_sequence_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  Block block_ COGWHEEL_GUARDED_BY(mutex_);
  Unit unit_ COGWHEEL_GUARDED_BY(mutex_);
  Time wait_began_ COGWHEEL_GUARDED_BY(mutex_){};
  std::chrono::nanoseconds waited_ COGWHEEL_GUARDED_BY(mutex_){0};  // in block_
};

// One line an entry: "#17 ulysses 4096 B, block 3, 1.204 s ago, open".
std::string DescribeEntry(const FlightRecorder::Entry& entry, FlightRecorder::Time now);

}  // namespace cogwheel
