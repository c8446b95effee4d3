#include "worker/journal/lockstep.h"

#include <utility>

namespace cogwheel {
namespace {

// A work's blocks have the numbers from work * kBlocksPerWork on.
constexpr int64_t kBlocksPerWork = int64_t{1} << 24;

std::string Name(int rank) { return "rank " + std::to_string(rank); }
std::string BlockText(int64_t block) { return "block " + std::to_string(block % kBlocksPerWork); }

}  // namespace

Lockstep::Entered Lockstep::EnterBlock(BlockKind kind) {
  const MutexLock lock(mutex_);
  issued_before_ = std::exchange(count_, 0);
  compared_before_ = compared_;
  compared_ = kind == BlockKind::kText || kind == BlockKind::kStep;
  issued_.clear();
  ++block_;
  for (auto& [peer, places] : heard_) places.erase(places.begin(), places.lower_bound({block_, 0}));
  Entered result{.wrong = "", .note = {block_, issued_before_}};
  if (!compared_before_) return result;
  for (const auto& [peer, entered] : entered_) {
    if (entered.block != block_) continue;
    result.wrong = CheckIssued(peer, entered, issued_before_, /*whole=*/true);
    if (!result.wrong.empty()) return result;
  }
  return result;
}

void Lockstep::EnterWork(int64_t number) {
  const MutexLock lock(mutex_);
  block_ = number * kBlocksPerWork;
  count_ = 0;
  compared_ = false;
  issued_.clear();
}

std::string Lockstep::Issue(uint64_t channel_id, MessageMark& mark) {
  const MutexLock lock(mutex_);
  ++count_;
  if (!compared_) return "";
  const int64_t number = issued_count();
  issued_.push_back(channel_id);
  mark = {block_, number};
  for (const auto& [peer, places] : heard_) {
    const auto same = places.find({block_, number});
    if (same == places.end()) continue;
    std::string wrong = CheckChannel(peer, number, same->second);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [peer, entered] : entered_) {
    if (entered.block != block_ + 1) continue;
    std::string wrong = CheckIssued(peer, entered, issued_count(), /*whole=*/false);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string Lockstep::Heard(int peer, const MessageMark& mark, uint64_t channel_id) {
  const MutexLock lock(mutex_);
  const auto [block, number] = mark;
  if (block == 0 || block < block_ || number < 0) return "";
  heard_[peer][{block, number}] = channel_id;
  const bool issued = block == block_ && number < issued_count();
  return issued ? CheckChannel(peer, number, channel_id) : "";
}

std::string Lockstep::HeardNote(int peer, const MessageMark& note) {
  const MutexLock lock(mutex_);
  const PeerBlock entered{.block = note[0], .issued_before = note[1]};
  entered_[peer] = entered;
  if (entered.block == block_ && compared_before_) {
    return CheckIssued(peer, entered, issued_before_, /*whole=*/true);
  }
  if (entered.block == block_ + 1 && compared_) {
    return CheckIssued(peer, entered, issued_count(), /*whole=*/false);
  }
  return "";
}

std::string Lockstep::CheckChannel(int peer, int64_t number, uint64_t channel_id) const {
  if (issued_[number] == channel_id) return "";
  return "out of step: exchange " + std::to_string(number) + " of " + BlockText(block_) +
         " is on different communicators of " + Name(peer) + " and " + Name(rank_);
}

std::string Lockstep::CheckIssued(int peer, const PeerBlock& entered, int64_t issued,
                                  bool whole) const {
  const int64_t peers = entered.issued_before;
  if (issued == peers || (!whole && issued < peers)) return "";
  return "out of step: " + Name(peer) + " left " + BlockText(entered.block - 1) + " after " +
         std::to_string(peers) + " exchanges, " + Name(rank_) + " has issued " +
         std::to_string(issued);
}

}  // namespace cogwheel
