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

MessageMark Inbox::Issue(uint64_t channel_id) {
  const MutexLock lock(mutex_);
  MessageMark mark{};
  if (marks_ != nullptr) FailIfWrong(marks_->Issue(channel_id, mark));
  if (!failure_.empty()) throw CommError(failure_);
  return mark;
}

void Inbox::HearNote(int peer, const MessageMark& note) {
  const MutexLock lock(mutex_);
  if (marks_ != nullptr) FailIfWrong(marks_->HeardNote(peer, note));
}

void Inbox::HearPromise(std::chrono::milliseconds time) {
  const MutexLock lock(mutex_);
  const auto longest = std::min<std::chrono::milliseconds>(time, kLongestPromise);
  promised_ = std::max(promised_, std::chrono::steady_clock::now() + longest);
}

bool Inbox::Deliver(const MessageKey& key, std::vector<std::byte> data, const MessageMark& mark) {
  const MutexLock lock(mutex_);
  if (!failure_.empty() || closed_.contains(key.channel_id)) return true;
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

std::vector<std::byte> Inbox::Take(const MessageKey& key, std::string_view channel_name,
                                   std::chrono::steady_clock::time_point since,
                                   std::chrono::milliseconds limit) {
  const MutexLock lock(mutex_);
  const auto decided = [&]() COGWHEEL_REQUIRES(mutex_) {
    return held_.contains(key) || !LostBecause(key, channel_name).empty();
  };
  const auto end = [&]() COGWHEEL_REQUIRES(mutex_) { return std::max(since + limit, promised_); };
  const auto left = [&]() COGWHEEL_REQUIRES(mutex_) {
    return end() - std::chrono::steady_clock::now();
  };
  // A promise may come while this waits.
  bool in_time = changed_.WaitFor(mutex_, left(), decided);
  while (!in_time && left().count() > 0) in_time = changed_.WaitFor(mutex_, left(), decided);
  if (!failure_.empty()) throw CommError(failure_);
  const auto found = held_.find(key);
  if (found == held_.end()) {
    throw CommError(in_time ? LostBecause(key, channel_name)
                            : "rank " + std::to_string(rank_) + " waited " +
                                  Milliseconds(end() - since) + " ms for " +
                                  DescribeMessage(key, channel_name) + " in vain");
  }
  std::vector<std::byte> data = std::move(found->second);
  held_.erase(found);
  held_bytes_[key.from] -= static_cast<int64_t>(data.size());
  return data;
}

bool Inbox::Has(const MessageKey& key, std::string_view channel_name) {
  const MutexLock lock(mutex_);
  if (!failure_.empty()) throw CommError(failure_);
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
  if (!failure_.empty()) throw CommError(failure_);
}

void Inbox::PeerLeft(int peer) {
  const MutexLock lock(mutex_);
  left_.insert(peer);
  changed_.NotifyAll();
}

void Inbox::Close(uint64_t channel_id) {
  const MutexLock lock(mutex_);
  closed_.insert(channel_id);
  const auto first = held_.lower_bound({.channel_id = channel_id});
  auto last = first;
  while (last != held_.end() && last->first.channel_id == channel_id) {
    held_bytes_[last->first.from] -= static_cast<int64_t>(last->second.size());
    ++last;
  }
  held_.erase(first, last);
}

}  // namespace cogwheel
