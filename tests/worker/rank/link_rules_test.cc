#include "worker/rank/link_rules.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using Kind = OrderHead::Kind;
using Why = LinkLost::Why;

TEST(LinkRulesTest, WhatIsDoneWithAnOrderOnItsArrival) {
  struct Row {
    Kind kind;
    Arrival older, same, newer;  // than the epoch of the rank
  };
  const Row rows[] = {
      {Kind::kAssign, Arrival::kQueued, Arrival::kQueued, Arrival::kNewEpoch},
      {Kind::kRun, Arrival::kQueued, Arrival::kQueued, Arrival::kQueued},
      {Kind::kStart, Arrival::kQueued, Arrival::kQueued, Arrival::kQueued},
      {Kind::kDrop, Arrival::kQueued, Arrival::kQueued, Arrival::kQueued},
      {Kind::kCancel, Arrival::kIgnored, Arrival::kCancelsJob, Arrival::kIgnored},
      {Kind::kStop, Arrival::kIgnored, Arrival::kStopsJob, Arrival::kIgnored},
      {Kind::kShutdown, Arrival::kIgnored, Arrival::kEpochOver, Arrival::kEpochOver},
      {Kind::kBeat, Arrival::kIgnored, Arrival::kIgnored, Arrival::kIgnored},
      {Kind::kUnknown, Arrival::kQueued, Arrival::kQueued, Arrival::kQueued},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(static_cast<int>(row.kind));
    EXPECT_EQ(OnArrival({.kind = row.kind, .epoch = 5}, 6), row.older);
    EXPECT_EQ(OnArrival({.kind = row.kind, .epoch = 6}, 6), row.same);
    EXPECT_EQ(OnArrival({.kind = row.kind, .epoch = 7}, 6), row.newer);
  }
}

TEST(LinkRulesTest, WhatTheEndOfTheStreamMeans) {
  struct Row {
    absl::StatusCode code;
    const char* reason;
    Why why;
  };
  const Row rows[] = {
      {absl::StatusCode::kOk, "", Why::kFrontendGone},
      {absl::StatusCode::kUnavailable, "", Why::kFrontendGone},  // the connection's own
      {absl::StatusCode::kResourceExhausted, "GROUPS", Why::kFrontendGone},
      {absl::StatusCode::kUnavailable, "GROUP_LOST", Why::kSentAway},
      {absl::StatusCode::kUnavailable, "RANK_GONE", Why::kSentAway},
      {absl::StatusCode::kUnavailable, "RANK_REPLACED", Why::kSentAway},
      {absl::StatusCode::kAlreadyExists, "RANK_PRESENT", Why::kSentAway},
      {absl::StatusCode::kResourceExhausted, "RANK_STREAMS", Why::kFrontendGone},
      {absl::StatusCode::kUnavailable, "RANK_SILENT", Why::kSentAway},
      {absl::StatusCode::kFailedPrecondition, "GROUP_COMPLETE", Why::kRefused},
      {absl::StatusCode::kFailedPrecondition, "RANK_DIFFERS", Why::kRefused},
      {absl::StatusCode::kInvalidArgument, "BAD_HELLO", Why::kRefused},
      {absl::StatusCode::kUnauthenticated, "RANK_CREDENTIALS", Why::kRefused},
  };
  for (const Row& row : rows) EXPECT_EQ(WhyLost(row.code, row.reason), row.why) << row.reason;
}

}  // namespace
}  // namespace cogwheel
