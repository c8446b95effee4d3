#include "worker/comm/mailbox/lockstep.h"

#include <utility>

namespace cogwheel {
namespace {

std::string Name(int rank) { return "rank " + std::to_string(rank); }

}  // namespace

std::string Lockstep::EnterBlock(BlockKind kind) {
  left_ = std::exchange(count_, 0);
  left_compared_ = compared_;
  compared_ = kind == BlockKind::kText || kind == BlockKind::kStep;
  issued_.clear();
  ++block_;
  for (auto& [peer, places] : heard_) places.erase(places.begin(), places.lower_bound({block_, 0}));
  if (!left_compared_) return "";
  for (const auto& [peer, entered] : entered_) {
    const bool same_block = entered.block == block_;
    std::string wrong = same_block ? CheckLeft(peer, entered, left_, /*whole=*/true) : "";
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string Lockstep::Issue(uint64_t context) {
  ++count_;
  if (!compared_) return "";
  issued_.push_back(context);
  for (const auto& [peer, places] : heard_) {
    const auto same = places.find({block_, place().number});
    if (same == places.end()) continue;
    std::string wrong = CheckHeard(peer, place().number, same->second);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [peer, entered] : entered_) {
    if (entered.block != block_ + 1) continue;
    std::string wrong =
        CheckLeft(peer, entered, static_cast<int64_t>(issued_.size()), /*whole=*/false);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

ProgramPlace Lockstep::place() const {
  if (!compared_) return {};
  return {.block = block_, .number = static_cast<int64_t>(issued_.size()) - 1};
}

std::string Lockstep::Hear(int peer, const ProgramPlace& place, uint64_t context) {
  if (place.block == 0 || place.block < block_) return "";
  heard_[peer][{place.block, place.number}] = context;
  const bool issued = place.block == block_ && place.number < static_cast<int64_t>(issued_.size());
  return issued ? CheckHeard(peer, place.number, context) : "";
}

std::string Lockstep::HearEntered(int peer, int64_t block, int64_t left) {
  const Entered entered{.block = block, .left = left};
  entered_[peer] = entered;
  if (block == block_ && left_compared_) return CheckLeft(peer, entered, left_, /*whole=*/true);
  if (block == block_ + 1 && compared_) {
    return CheckLeft(peer, entered, static_cast<int64_t>(issued_.size()), /*whole=*/false);
  }
  return "";
}

std::string Lockstep::CheckHeard(int peer, int64_t number, uint64_t context) const {
  if (issued_[number] == context) return "";
  return "out of step: exchange " + std::to_string(number) + " of block " + std::to_string(block_) +
         " is on different communicators of " + Name(peer) + " and " + Name(rank_);
}

// `whole`: both have left the block; else this rank is still in it, and may not pass the peer.
std::string Lockstep::CheckLeft(int peer, const Entered& entered, int64_t issued,
                                bool whole) const {
  if (issued == entered.left || (!whole && issued < entered.left)) return "";
  return "out of step: " + Name(peer) + " left block " + std::to_string(entered.block - 1) +
         " after " + std::to_string(entered.left) + " exchanges, " + Name(rank_) + " has issued " +
         std::to_string(issued);
}

}  // namespace cogwheel
