#include "client/exit_code.h"

#include <map>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// The table of the command line contract, written out by hand.
TEST(ExitCode, FollowsTheStatus) {
  using absl::StatusCode;
  const std::map<StatusCode, int> expected = {
      {StatusCode::kOk, 0},
      {StatusCode::kInvalidArgument, 2},
      {StatusCode::kNotFound, 2},
      {StatusCode::kAlreadyExists, 2},
      {StatusCode::kFailedPrecondition, 2},
      {StatusCode::kOutOfRange, 2},
      {StatusCode::kUnauthenticated, 2},
      {StatusCode::kPermissionDenied, 2},
      {StatusCode::kUnavailable, 3},
      {StatusCode::kResourceExhausted, 3},
      {StatusCode::kDeadlineExceeded, 3},
      {StatusCode::kInternal, 4},
      {StatusCode::kDataLoss, 4},
      {StatusCode::kUnknown, 4},
      {StatusCode::kUnimplemented, 4},
      {StatusCode::kAborted, 4},
      {StatusCode::kCancelled, 5},
  };
  EXPECT_EQ(expected.size(), 17u);
  for (const auto& [code, exit_code] : expected) {
    EXPECT_EQ(static_cast<int>(ExitCodeOf(code)), exit_code) << absl::StatusCodeToString(code);
  }
}

TEST(ExitCode, FollowsTheEndOfAJob) {
  EXPECT_EQ(static_cast<int>(ExitCodeOf(v1::SUCCEEDED)), 0);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(v1::FAILED)), 4);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(v1::EXPIRED)), 4);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(v1::CANCELLED)), 5);
  EXPECT_EQ(static_cast<int>(ExitCodeOf(v1::RUNNING)), 4);
}

}  // namespace
}  // namespace cogwheel
