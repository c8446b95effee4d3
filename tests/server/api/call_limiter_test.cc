#include "server/api/call_limiter.h"

#include <string>
#include <utility>

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
    for (int i = 0; i < calls; ++i) passed += limiter_.TakeOfHost(caller).ok() ? 1 : 0;
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
  const absl::Status refused = limiter_.TakeOfHost("a");
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_EQ("CALL_RATE", ErrorReason(refused));
  EXPECT_EQ("too many calls; the limit of one caller is 10 a second and 5 at once",
            refused.message());
  const auto wait = RetryAfter(refused).value();
  EXPECT_NEAR(60, static_cast<double>(wait.count()), 1);
  clock_.Advance(wait);
  EXPECT_TRUE(limiter_.TakeOfHost("a").ok());
}

// A crowd of addresses must not wash out who has just spent its calls.
TEST_F(CallLimiterTest, WhoHasSpentCallsIsNotForgotten) {
  EXPECT_EQ(5, PassedOf(9, "busy"));  // full again in 0.5 s
  for (size_t i = 1; i < CallLimiter::kMaxHosts; ++i) PassedOf(1, std::to_string(i));  // 0.1 s
  EXPECT_EQ(CallLimiter::kMaxHosts, limiter_.hosts());
  const absl::Status refused = limiter_.TakeOfHost("newcomer");
  EXPECT_EQ("CALL_RATE", ErrorReason(refused));
  EXPECT_NEAR(100, static_cast<double>(RetryAfter(refused)->count()), 1);
  EXPECT_TRUE(limiter_.TakeOfHost("7").ok());  // who is known goes on
  EXPECT_TRUE(limiter_.TakeOfTenant("t").ok());
  clock_.Advance(milliseconds(101));  // all but "7" and "busy" are full
  for (int i = 0; i < 4094; ++i) {
    ASSERT_EQ(1, PassedOf(1, "newcomer" + std::to_string(i))) << i;
  }
  EXPECT_EQ(CallLimiter::kMaxHosts, limiter_.hosts());
  EXPECT_EQ(0, PassedOf(1, "one more"));
  EXPECT_EQ(1, PassedOf(9, "busy"));  // not five: it was remembered
}

TEST_F(CallLimiterTest, ATenantIsNoHost) {
  EXPECT_EQ(5, PassedOf(100, "a"));
  EXPECT_TRUE(limiter_.TakeOfTenant("a").ok());
}

TEST_F(CallLimiterTest, NoLimitRemembersNobody) {
  CallLimiter open({.per_second = 0, .burst = 1}, clock_);
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(open.TakeOfHost("a").ok());
  EXPECT_EQ(0, open.hosts());
}

TEST(HostOfPeerTest, IsTheAddressOrItsNetworkOfVersionSix) {
  const std::pair<const char*, const char*> hosts[] = {
      {"ipv4:10.0.0.7:41000", "ipv4:10.0.0.7"},
      {"ipv6:%5B2001:db8:1:2:3:4:5:6%5D:41000", "ipv6:2001:db8:1:2::/64"},
      {"ipv6:[2001:db8:1:2:ffff::1]:1", "ipv6:2001:db8:1:2::/64"},
      {"ipv6:%5B2001:db8:1:3::%5D:1", "ipv6:2001:db8:1:3::/64"},
      {"ipv6:%5Bfe80::1%25eth0%5D:1", "ipv6:fe80::/64"},
      {"ipv6:%5B::ffff:10.0.0.7%5D:1", "ipv4:10.0.0.7"},
      {"unix:/run/cogwheel.sock", "unix"},
      {"unix:", "unix"},
  };
  for (const auto& [peer, host] : hosts) EXPECT_EQ(host, HostOfPeer(peer)) << peer;
}

// Whatever it is, it gets no bucket of its own.
TEST(HostOfPeerTest, WhatIsNoAddressIsOneCaller) {
  for (const char* peer : {"", "x", "ipv4:", "ipv4:10.0.0:1", "ipv6:%5Bnone%5D:1",
                           "ipv6:::", "vsock:3:4", "10.0.0.7:1"}) {
    EXPECT_EQ("unknown", HostOfPeer(peer)) << peer;
  }
}

}  // namespace
}  // namespace cogwheel
