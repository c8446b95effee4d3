#include "worker/comm/mailbox/lockstep.h"

#include <utility>

namespace cogwheel {
namespace {

std::string Name(int rank) { return "rank " + std::to_string(rank); }

}  // namespace

std::string Lockstep::EnterBlock(BlockKind kind) {
  issued_before_ = std::exchange(count_, 0);
  compared_before_ = compared_;
  compared_ = kind == BlockKind::kText || kind == BlockKind::kStep;
  issued_.clear();
  ++block_;
  for (auto& [peer, places] : heard_) places.erase(places.begin(), places.lower_bound({block_, 0}));
  if (!compared_before_) return "";
  for (const auto& [peer, entered] : entered_) {
    const bool same_block = entered.block == block_;
    std::string wrong =
        same_block ? CheckIssuedBefore(peer, entered, issued_before_, /*whole=*/true) : "";
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string Lockstep::Issue(uint64_t channel_id) {
  ++count_;
  if (!compared_) return "";
  issued_.push_back(channel_id);
  for (const auto& [peer, places] : heard_) {
    const auto same = places.find({block_, place().number});
    if (same == places.end()) continue;
    std::string wrong = CheckHeard(peer, place().number, same->second);
    if (!wrong.empty()) return wrong;
  }
  for (const auto& [peer, entered] : entered_) {
    if (entered.block != block_ + 1) continue;
    std::string wrong =
        CheckIssuedBefore(peer, entered, static_cast<int64_t>(issued_.size()), /*whole=*/false);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

ProgramPlace Lockstep::place() const {
  if (!compared_) return {};
  return {.block = block_, .number = static_cast<int64_t>(issued_.size()) - 1};
}

std::string Lockstep::Hear(int peer, const ProgramPlace& place, uint64_t channel_id) {
  if (place.block == 0 || place.block < block_) return "";
  heard_[peer][{place.block, place.number}] = channel_id;
  const bool issued = place.block == block_ && place.number < static_cast<int64_t>(issued_.size());
  return issued ? CheckHeard(peer, place.number, channel_id) : "";
}

std::string Lockstep::HearEntered(int peer, int64_t block, int64_t issued_before) {
  const Entered entered{.block = block, .issued_before = issued_before};
  entered_[peer] = entered;
  if (block == block_ && compared_before_)
    return CheckIssuedBefore(peer, entered, issued_before_, /*whole=*/true);
  if (block == block_ + 1 && compared_) {
    return CheckIssuedBefore(peer, entered, static_cast<int64_t>(issued_.size()), /*whole=*/false);
  }
  return "";
}

std::string Lockstep::CheckHeard(int peer, int64_t number, uint64_t channel_id) const {
  if (issued_[number] == channel_id) return "";
  return "out of step: exchange " + std::to_string(number) + " of block " + std::to_string(block_) +
         " is on different communicators of " + Name(peer) + " and " + Name(rank_);
}

// `whole`: both have left the block; else this rank is still in it, and may not pass the peer.
std::string Lockstep::CheckIssuedBefore(int peer, const Entered& entered, int64_t issued,
                                        bool whole) const {
  if (issued == entered.issued_before || (!whole && issued < entered.issued_before)) return "";
  return "out of step: " + Name(peer) + " left block " + std::to_string(entered.block - 1) +
         " after " + std::to_string(entered.issued_before) + " exchanges, " + Name(rank_) +
         " has issued " + std::to_string(issued);
}

}  // namespace cogwheel
