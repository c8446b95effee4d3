#include "worker/comm/mailbox/inbox.h"

#include <algorithm>
#include <utility>

#include "worker/comm/communicator.h"

namespace cogwheel {

std::string DescribeMessage(const MessageKey& key, std::string_view channel_name) {
  return "rank " + std::to_string(key.from) + "'s message " + std::to_string(key.sequence) +
         " (channel " + std::string(channel_name) + ")";
}

namespace {

// Of a peer's promise: what is longer is garbage.
constexpr std::chrono::hours kLongestPromise{24 * 30};
// How soon a wait sees that a promise has made it longer, or shorter.
constexpr std::chrono::nanoseconds kPromiseInterval{200'000'000};

std::string Milliseconds(std::chrono::steady_clock::duration time) {
  return std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(time).count());
}

}  // namespace

Inbox::Inbox(int rank, int64_t held_bytes_per_peer, std::shared_ptr<MessageMarks> marks)
    : rank_(rank), held_bytes_per_peer_(held_bytes_per_peer), marks_(std::move(marks)) {}

void Inbox::FailIfWrong(const std::string& wrong) {
  if (wrong.empty() || !failure_.empty()) return;
  failure_ = wrong;
  changed_.NotifyAll();
}

void Inbox::ThrowIfOver() {
  if (!failure_.empty()) throw CommError(failure_);
  if (abandoned()) throw WorkAbandoned(why_abandoned_);
}

Inbox::Issued Inbox::Issue(uint64_t channel_id) {
  const MutexLock lock(mutex_);
  ThrowIfOver();
  MessageMark mark{};
  if (marks_ != nullptr) FailIfWrong(marks_->Issue(channel_id, mark));
  ThrowIfOver();
  return {.mark = mark, .work = work_};
}

void Inbox::HearNote(int peer, const MessageMark& note) {
  const MutexLock lock(mutex_);
  if (marks_ != nullptr) FailIfWrong(marks_->HeardNote(peer, note));
}

void Inbox::HearPromise(int from, int64_t work, std::chrono::milliseconds time) {
  const MutexLock lock(mutex_);
  if (work < work_ || left_.contains(from)) return;
  const auto most = std::min<std::chrono::milliseconds>(time, kLongestPromise);
  promised_[from] = {.work = work, .until = std::chrono::steady_clock::now() + most};
}

std::chrono::steady_clock::time_point Inbox::EndOfWait(
    std::chrono::steady_clock::time_point end) const {
  for (const auto& [rank, promise] : promised_) end = std::max(end, promise.until);
  return end;
}

bool Inbox::Deliver(const MessageKey& key, MessageBytes data, const MessageMark& mark) {
  const MutexLock lock(mutex_);
  if (!failure_.empty() || closed_.contains(key.channel_id)) return true;
  if (key.work < work_ || key.work == abandoned_work_) return true;
  if (marks_ != nullptr) FailIfWrong(marks_->Heard(key.from, mark, key.channel_id));
  if (!failure_.empty()) return true;
  int64_t& held_bytes = held_bytes_[key.from];
  held_bytes += static_cast<int64_t>(data.size());
  const bool fits = held_bytes <= held_bytes_per_peer_;
  if (!fits) {
    failure_ = "rank " + std::to_string(rank_) + " holds " + std::to_string(held_bytes) +
               " bytes of rank " + std::to_string(key.from) + " that it has not asked for, over " +
               std::to_string(held_bytes_per_peer_);
  }
  held_[key] = std::move(data);
  changed_.NotifyAll();
  return fits;
}

std::string Inbox::LostBecause(const MessageKey& key, std::string_view channel_name) const {
  if (!failure_.empty()) return failure_;
  if (!left_.contains(key.from)) return "";
  return "rank " + std::to_string(key.from) + " left the world; rank " + std::to_string(rank_) +
         " still wants " + DescribeMessage(key, channel_name);
}

MessageBytes Inbox::Take(const MessageKey& key, std::string_view channel_name,
                         std::chrono::steady_clock::time_point since,
                         std::chrono::milliseconds limit) {
  const MutexLock lock(mutex_);
  const auto decided = [&]() COGWHEEL_REQUIRES(mutex_) {
    return held_.contains(key) || abandoned() || !LostBecause(key, channel_name).empty();
  };
  const auto end = [&]() COGWHEEL_REQUIRES(mutex_) { return EndOfWait(since + limit); };
  const auto left = [&]() COGWHEEL_REQUIRES(mutex_) -> std::chrono::nanoseconds {
    return end() - std::chrono::steady_clock::now();
  };
  bool in_time = changed_.WaitFor(mutex_, std::min(left(), kPromiseInterval), decided);
  while (!in_time && left().count() > 0) {
    in_time = changed_.WaitFor(mutex_, std::min(left(), kPromiseInterval), decided);
  }
  ThrowIfOver();
  const auto found = held_.find(key);
  if (found == held_.end()) {
    throw CommError(in_time ? LostBecause(key, channel_name)
                            : "rank " + std::to_string(rank_) + " waited " +
                                  Milliseconds(end() - since) + " ms for " +
                                  DescribeMessage(key, channel_name) + " in vain");
  }
  MessageBytes data = std::move(found->second);
  held_.erase(found);
  held_bytes_[key.from] -= static_cast<int64_t>(data.size());
  return data;
}

bool Inbox::Has(const MessageKey& key, std::string_view channel_name) {
  const MutexLock lock(mutex_);
  ThrowIfOver();
  if (held_.contains(key)) return true;
  const std::string lost = LostBecause(key, channel_name);
  if (!lost.empty()) throw CommError(lost);
  return false;
}

void Inbox::Fail(const std::string& reason) {
  const MutexLock lock(mutex_);
  if (failure_.empty()) failure_ = reason.empty() ? "aborted" : reason;
  changed_.NotifyAll();
}

bool Inbox::failed() {
  const MutexLock lock(mutex_);
  return !failure_.empty();
}

void Inbox::ThrowIfFailed() {
  const MutexLock lock(mutex_);
  ThrowIfOver();
}

template <typename Condition>
void Inbox::DropHeld(const Condition& condition) {
  std::erase_if(held_, [&](const auto& entry) COGWHEEL_REQUIRES(mutex_) {
    const bool drop = condition(entry.first);
    if (drop) held_bytes_[entry.first.from] -= static_cast<int64_t>(entry.second.size());
    return drop;
  });
}

void Inbox::EnterWork(int64_t number) {
  const MutexLock lock(mutex_);
  if (number <= work_) return;
  work_ = number;
  DropHeld([&](const MessageKey& key) { return key.work < number; });
  std::erase_if(promised_, [&](const auto& entry) { return entry.second.work < number; });
  if (marks_ != nullptr) marks_->EnterWork(number);
}

bool Inbox::Abandon(int64_t work, const std::string& why) {
  const MutexLock lock(mutex_);
  if (work < work_ || work <= abandoned_work_) return false;
  abandoned_work_ = work;
  why_abandoned_ = why;
  DropHeld([&](const MessageKey& key) { return key.work == work; });
  changed_.NotifyAll();
  return true;
}

int64_t Inbox::work() {
  const MutexLock lock(mutex_);
  return work_;
}

void Inbox::PeerLeft(int peer) {
  const MutexLock lock(mutex_);
  left_.insert(peer);
  promised_.erase(peer);
  changed_.NotifyAll();
}

void Inbox::Close(uint64_t channel_id) {
  const MutexLock lock(mutex_);
  closed_.insert(channel_id);
  DropHeld([&](const MessageKey& key) { return key.channel_id == channel_id; });
}

}  // namespace cogwheel
