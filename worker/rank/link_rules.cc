#include "worker/rank/link_rules.h"

#include "proto/contract/protocol.h"

namespace cogwheel {

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
  // An error of the connection itself gives no reason.
  return IsSentAway(reason) ? LinkLost::Why::kSentAway : LinkLost::Why::kFrontendGone;
}

}  // namespace cogwheel
