#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "proto/contract/mutex.h"

namespace cogwheel {

// Names one message between two ranks: which communicator, from whom, the how-manieth.
struct MessageKey {
  uint64_t context = 0;
  int from = 0;  // world rank
  uint64_t sequence = 0;
  auto operator<=>(const MessageKey&) const = default;
};

// What has arrived at one rank and was not taken yet, for all its communicators. Thread-safe.
// Messages of different communicators never mix, and those of a closed one are dropped.
class Inbox {
 public:
  // A sender may run ahead of its receiver by this much before the group counts as broken.
  static constexpr int64_t kMaxHeldBytes = int64_t{8} << 30;

  void Deliver(const MessageKey& key, std::vector<std::byte> data) COGWHEEL_EXCLUDES(mutex_);

  // Moves the message into `target`; waits at most until `deadline`. Throws CommError when the
  // world failed, the time is over, or the sizes differ.
  void Take(const MessageKey& key, std::span<std::byte> target,
            std::chrono::steady_clock::time_point deadline) COGWHEEL_EXCLUDES(mutex_);

  // True when Take would not wait. Throws CommError when the world failed.
  bool Has(const MessageKey& key) COGWHEEL_EXCLUDES(mutex_);

  // The first reason wins; wakes every waiter, now and later.
  void Fail(const std::string& reason) COGWHEEL_EXCLUDES(mutex_);
  void ThrowIfFailed() COGWHEEL_EXCLUDES(mutex_);

  // Forgets a communicator: what it left and what still comes for it.
  void Close(uint64_t context) COGWHEEL_EXCLUDES(mutex_);

 private:
  Mutex mutex_;
  CondVar changed_;
  std::map<MessageKey, std::vector<std::byte>> held_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t held_bytes_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  std::set<uint64_t> closed_ COGWHEEL_GUARDED_BY(mutex_);
  std::string failure_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
