#include "worker/rank/link_rules.h"

#include <algorithm>
#include <array>

namespace cogwheel {
namespace {

// The frontend's reasons to end the stream of a rank that it would take again in another epoch
// (server/groups). An error of the connection itself gives none.
constexpr std::array<std::string_view, 4> kSentAwayReasons = {"GROUP_LOST", "RANK_GONE",
                                                              "RANK_REPLACED", "RANK_SILENT"};

}  // namespace

Arrival OnArrival(const OrderHead& order, int64_t epoch) {
  switch (order.kind) {
    case OrderHead::Kind::kAssign:
      return order.epoch > epoch ? Arrival::kNewEpoch : Arrival::kQueued;
    case OrderHead::Kind::kCancel:
      return order.epoch == epoch ? Arrival::kCancelsJob : Arrival::kIgnored;
    case OrderHead::Kind::kStop:
      return order.epoch == epoch ? Arrival::kStopsJob : Arrival::kIgnored;
    case OrderHead::Kind::kShutdown:
      return order.epoch >= epoch ? Arrival::kEpochOver : Arrival::kIgnored;
    case OrderHead::Kind::kBeat:
      return Arrival::kIgnored;
    case OrderHead::Kind::kRun:
    case OrderHead::Kind::kStart:
    case OrderHead::Kind::kDrop:
    case OrderHead::Kind::kUnknown:
      break;
  }
  return Arrival::kQueued;
}

LinkLost::Why WhyLost(absl::StatusCode code, std::string_view reason) {
  if (code == absl::StatusCode::kInvalidArgument || code == absl::StatusCode::kFailedPrecondition ||
      code == absl::StatusCode::kUnauthenticated) {
    return LinkLost::Why::kRefused;
  }
  const bool sent_away = std::ranges::find(kSentAwayReasons, reason) != kSentAwayReasons.end();
  return sent_away ? LinkLost::Why::kSentAway : LinkLost::Why::kFrontendGone;
}

}  // namespace cogwheel
