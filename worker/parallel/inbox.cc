#include "worker/parallel/inbox.h"

#include <cstring>
#include <utility>

#include "worker/parallel/communicator.h"

namespace cogwheel {
namespace {

std::string Describe(const MessageKey& key) {
  return "message " + std::to_string(key.sequence) + " from rank " + std::to_string(key.from);
}

}  // namespace

void Inbox::Deliver(const MessageKey& key, std::vector<std::byte> data) {
  MutexLock lock(mutex_);
  if (closed_.contains(key.context)) return;
  held_bytes_ += static_cast<int64_t>(data.size());
  if (held_bytes_ > kMaxHeldBytes && failure_.empty()) {
    failure_ = "more than " + std::to_string(kMaxHeldBytes) + " bytes wait to be received";
  }
  held_[key] = std::move(data);
  changed_.NotifyAll();
}

void Inbox::Take(const MessageKey& key, std::span<std::byte> target,
                 std::chrono::steady_clock::time_point deadline) {
  std::vector<std::byte> data;
  {
    MutexLock lock(mutex_);
    const auto limit = deadline - std::chrono::steady_clock::now();
    const bool arrived =
        changed_.WaitFor(mutex_, limit, [&] { return !failure_.empty() || held_.contains(key); });
    if (!failure_.empty()) throw CommError(failure_);
    if (!arrived) throw CommError("timed out waiting for " + Describe(key));
    data = std::move(held_[key]);
    held_.erase(key);
    held_bytes_ -= static_cast<int64_t>(data.size());
  }
  if (data.size() != target.size()) {
    throw CommError(Describe(key) + " has " + std::to_string(data.size()) + " bytes where " +
                    std::to_string(target.size()) + " are expected");
  }
  std::memcpy(target.data(), data.data(), data.size());
}

bool Inbox::Has(const MessageKey& key) {
  MutexLock lock(mutex_);
  if (!failure_.empty()) throw CommError(failure_);
  return held_.contains(key);
}

void Inbox::Fail(const std::string& reason) {
  MutexLock lock(mutex_);
  if (failure_.empty()) failure_ = reason;
  changed_.NotifyAll();
}

void Inbox::ThrowIfFailed() {
  MutexLock lock(mutex_);
  if (!failure_.empty()) throw CommError(failure_);
}

void Inbox::Close(uint64_t context) {
  MutexLock lock(mutex_);
  closed_.insert(context);
  const auto first = held_.lower_bound({.context = context});
  auto last = first;
  while (last != held_.end() && last->first.context == context) {
    held_bytes_ -= static_cast<int64_t>(last->second.size());
    ++last;
  }
  held_.erase(first, last);
}

}  // namespace cogwheel
