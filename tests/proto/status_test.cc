#include "proto/contract/status.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;

TEST(Status, ReasonAndRetrySurviveTheWire) {
  const absl::Status status = WithRetryAfter(
      MakeError(absl::StatusCode::kResourceExhausted, "QUEUE_JOBS", "full"), milliseconds(2500));
  const grpc::Status sent = ToGrpc(status);
  EXPECT_EQ(grpc::StatusCode::RESOURCE_EXHAUSTED, sent.error_code());
  EXPECT_EQ("full", sent.error_message());
  const absl::Status received = FromGrpc(sent);
  EXPECT_EQ(status, received);
  EXPECT_EQ("QUEUE_JOBS", ErrorReason(received));
  EXPECT_EQ(milliseconds(2500), RetryAfter(received));
}

TEST(Status, DetailsAreAStandardGoogleRpcStatus) {
  const grpc::Status sent = ToGrpc(MakeInvalidArgument("STEPS", {{"steps", "steps 0 is bad"}}));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(sent.error_details()));
  EXPECT_EQ(3, details.code());
  EXPECT_EQ("steps 0 is bad", details.message());
  ASSERT_EQ(2, details.details_size());
  google::rpc::BadRequest bad;
  google::rpc::ErrorInfo info;
  for (const auto& detail : details.details()) {
    detail.UnpackTo(&bad);
    detail.UnpackTo(&info);
  }
  EXPECT_EQ("cogwheel", info.domain());
  EXPECT_EQ("STEPS", info.reason());
  ASSERT_EQ(1, bad.field_violations_size());
  EXPECT_EQ("steps", bad.field_violations(0).field());
}

// BadRequest, ErrorInfo, RetryInfo: each time, and in whichever order they were made.
TEST(Status, DetailsHaveOneOrder) {
  const std::vector<FieldViolation> violations = {{"steps", "steps 0 is bad"}};
  const auto make = [&violations] {
    return WithRetryAfter(MakeInvalidArgument("STEPS", violations), milliseconds(10));
  };
  absl::Status other_order = absl::InvalidArgumentError("steps 0 is bad");
  for (const char* detail : {"RetryInfo", "BadRequest", "ErrorInfo"}) {
    const std::string url = std::string("type.googleapis.com/google.rpc.") + detail;
    other_order.SetPayload(url, *make().GetPayload(url));
  }
  const std::string bytes = ToGrpc(make()).error_details();
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(bytes));
  ASSERT_EQ(3, details.details_size());
  EXPECT_TRUE(details.details(0).type_url().ends_with("BadRequest"));
  EXPECT_TRUE(details.details(1).type_url().ends_with("ErrorInfo"));
  EXPECT_TRUE(details.details(2).type_url().ends_with("RetryInfo"));
  std::vector<absl::Status> kept;  // each at an address of its own, which seeds the order
  for (int i = 0; i < 100; ++i) {
    kept.push_back(make());
    EXPECT_EQ(bytes, ToGrpc(kept.back()).error_details());
  }
  EXPECT_EQ(bytes, ToGrpc(other_order).error_details());
}

TEST(Status, OkAndPlainErrorsHaveNoDetails) {
  EXPECT_TRUE(ToGrpc(absl::OkStatus()).ok());
  EXPECT_EQ(absl::OkStatus(), FromGrpc(grpc::Status::OK));
  const grpc::Status plain = ToGrpc(absl::NotFoundError("none"));
  EXPECT_TRUE(plain.error_details().empty());
  EXPECT_EQ("", ErrorReason(FromGrpc(plain)));
  EXPECT_EQ(std::nullopt, RetryAfter(FromGrpc(plain)));
}

TEST(Status, StaysWithinWhatTrailersCanCarry) {
  std::vector<FieldViolation> violations;
  for (int i = 0; i < 100; ++i) violations.push_back({"field", std::string(5000, 'x')});
  const grpc::Status sent = ToGrpc(MakeInvalidArgument("MANY", violations));
  EXPECT_LE(sent.error_message().size(), 1024);
  EXPECT_LE(sent.error_details().size() * 4 / 3, 8192 - 1024);
  EXPECT_EQ("MANY", ErrorReason(FromGrpc(sent)));
  google::rpc::Status details;
  ASSERT_TRUE(details.ParseFromString(sent.error_details()));
  EXPECT_EQ(2, details.details_size());  // the first violations have a place beside the reason
}

TEST(Status, ClipsBetweenCharacters) {
  const std::string long_text = std::string(1023, 'a') + "\xc3\xa9";  // ends at byte 1025
  EXPECT_EQ(std::string(1023, 'a'),
            MakeError(absl::StatusCode::kInternal, "R", long_text).message());
}

TEST(Status, InWordsIsTheMessageAndTheReasonNeverADetailsBytes) {
  const absl::Status drained = FromGrpc(ToGrpc(WithRetryAfter(
      MakeError(absl::StatusCode::kUnavailable, "DRAINING", "the server has shut down"),
      milliseconds(5))));
  EXPECT_EQ("the server has shut down (reason DRAINING)", InWords(drained));
  EXPECT_EQ("m", InWords(absl::AbortedError("m")));
}

TEST(Status, WhatNoServerSaidIsInWordsForPeople) {
  const grpc::Status library(grpc::StatusCode::UNAVAILABLE,
                             "failed to connect to all addresses; last error: UNKNOWN: "
                             "ipv4:127.0.0.1:1: Failed to connect to remote host: Connection "
                             "refused");
  EXPECT_EQ("connection refused; is cogwheel-server running there?", FromGrpc(library).message());
  // A server's own message stays, whatever it quotes.
  const absl::Status own = MakeError(absl::StatusCode::kInternal, "X", "Connection refused by y");
  EXPECT_EQ(own, FromGrpc(ToGrpc(own)));
}

TEST(Status, DamagedDetailsAreIgnored) {
  const grpc::Status damaged(grpc::StatusCode::ABORTED, "m", "\xff\xff\xff");
  EXPECT_EQ(absl::AbortedError("m"), FromGrpc(damaged));
}

}  // namespace
}  // namespace cogwheel
