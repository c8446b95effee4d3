#include "server/api/call_limiter.h"

#include <string>

#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

class CallLimiterTest : public testing::Test {
 protected:
  int PassedOf(int calls, const std::string& caller) {
    int passed = 0;
    for (int i = 0; i < calls; ++i) passed += limiter_.Take(caller).ok() ? 1 : 0;
    return passed;
  }

  FakeClock clock_;
  CallLimiter limiter_{{.per_second = 10, .burst = 5}, clock_};
};

TEST_F(CallLimiterTest, ABurstPassesAndThenOneCallATenthOfASecond) {
  EXPECT_EQ(5, PassedOf(100, "a"));
  clock_.Advance(milliseconds(99));
  EXPECT_EQ(0, PassedOf(100, "a"));
  clock_.Advance(milliseconds(2));
  EXPECT_EQ(1, PassedOf(100, "a"));
  clock_.Advance(milliseconds(300));
  EXPECT_EQ(3, PassedOf(100, "a"));
}

TEST_F(CallLimiterTest, NoMoreThanABurstIsSaved) {
  EXPECT_EQ(5, PassedOf(5, "a"));
  clock_.Advance(seconds(3600));
  EXPECT_EQ(5, PassedOf(100, "a"));
}

TEST_F(CallLimiterTest, CallersDoNotShare) {
  EXPECT_EQ(5, PassedOf(100, "a"));
  EXPECT_EQ(5, PassedOf(100, "b"));
}

TEST_F(CallLimiterTest, ARefusalSaysWhenToComeBack) {
  PassedOf(5, "a");
  clock_.Advance(milliseconds(40));
  const absl::Status refused = limiter_.Take("a");
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ("CALL_RATE", ErrorReason(refused));
  EXPECT_EQ("too many calls; the limit of one caller is 10 a second and 5 at once",
            refused.message());
  const auto wait = RetryAfter(refused).value();
  EXPECT_NEAR(60, static_cast<double>(wait.count()), 1);
  clock_.Advance(wait);
  EXPECT_TRUE(limiter_.Take("a").ok());
}

TEST_F(CallLimiterTest, WhoCalledLongestAgoIsForgottenFirst) {
  PassedOf(5, "busy");  // came first, but calls again below
  PassedOf(5, "old");
  for (size_t i = 0; i < CallLimiter::kMaxCallers - 2; ++i) {
    PassedOf(1, std::to_string(i));
    if (i == 100) PassedOf(1, "busy");
  }
  EXPECT_EQ(CallLimiter::kMaxCallers, limiter_.callers());
  PassedOf(1, "one more");
  EXPECT_EQ(CallLimiter::kMaxCallers, limiter_.callers());
  EXPECT_FALSE(limiter_.Take("busy").ok());
  EXPECT_TRUE(limiter_.Take("old").ok());  // forgotten: a full bucket
}

TEST_F(CallLimiterTest, NoLimitRemembersNobody) {
  CallLimiter open({.per_second = 0, .burst = 1}, clock_);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(open.Take("a").ok());
  EXPECT_EQ(0, open.callers());
}

TEST(HostOfPeerTest, LeavesOutThePort) {
  EXPECT_EQ("ipv4:10.0.0.7", HostOfPeer("ipv4:10.0.0.7:41000"));
  EXPECT_EQ("ipv6:%5Bfd00::7%5D", HostOfPeer("ipv6:%5Bfd00::7%5D:41000"));
  EXPECT_EQ("unix", HostOfPeer("unix:/run/cogwheel.sock"));
}

}  // namespace
}  // namespace cogwheel
