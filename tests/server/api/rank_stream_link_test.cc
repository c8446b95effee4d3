// When a rank's stream is read, written and ended.
#include "server/api/rank_stream_link.h"

#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;
using testing::ElementsAre;
using testing::IsEmpty;

// Writes down what it is told, and does it when the test says so.
class PuppetWire final : public RankWire {
 public:
  void StartRead() override { ++reads; }
  void StartWrite(const FrontendMessage& message) override {
    written.push_back(message.beat().epoch());
  }
  void Finish(const absl::Status& why) override { ends.push_back(std::string(why.message())); }
  void Cancel() override { ++cancels; }

  int reads = 0, cancels = 0;
  std::vector<int64_t> written;
  std::vector<std::string> ends;
};

FrontendMessage Numbered(int64_t number) {
  FrontendMessage message;
  message.mutable_beat()->set_epoch(number);
  return message;
}

RankMessage BeatAt(int64_t step) {
  RankMessage message;
  message.mutable_heartbeat()->set_step(step);
  return message;
}

class RankStreamLinkTest : public testing::Test {
 protected:
  void Arrive(int times) {
    for (int i = 0; i < times; ++i) link_.OnArrived();
  }
  PuppetWire wire_;
  RankStreamLink link_{&wire_};
};

TEST_F(RankStreamLinkTest, ReadsUntilEightMessagesAreUnhandled) {
  Arrive(7);
  EXPECT_EQ(7, wire_.reads);
  EXPECT_FALSE(link_.held());
  Arrive(1);
  EXPECT_EQ(7, wire_.reads);
  EXPECT_TRUE(link_.held());
  link_.OnHandled();
  EXPECT_EQ(8, wire_.reads);
  EXPECT_FALSE(link_.held());
}

// The dispatcher may be behind for as long as it likes: ranks still get their answers.
TEST_F(RankStreamLinkTest, HeartbeatsAreReadHoweverManyWait) {
  EXPECT_TRUE(link_.OnHeartbeat(BeatAt(1)));
  for (int step = 2; step <= 100; ++step) EXPECT_FALSE(link_.OnHeartbeat(BeatAt(step)));
  EXPECT_EQ(100, wire_.reads);
  EXPECT_FALSE(link_.held());
  EXPECT_EQ(100, link_.TakeHeartbeat().heartbeat().step()) << "the last is worth hearing";
  EXPECT_TRUE(link_.OnHeartbeat(BeatAt(101)));
}

// A rank that hands its job back and goes is heard before its going is: else the job is charged.
TEST_F(RankStreamLinkTest, WhatWasSentBeforeTheEndIsReadFirst) {
  Arrive(8);
  const int before = wire_.reads;
  link_.OnCancelled();
  EXPECT_EQ(before + 1, wire_.reads);
  EXPECT_THAT(wire_.ends, IsEmpty()) << "gRPC gives nothing more to read once it is finished";
  Arrive(20);  // what was on the way, however much the dispatcher has to handle
  EXPECT_EQ(before + 21, wire_.reads);
  EXPECT_FALSE(link_.held());
  link_.OnReadEnd();
  EXPECT_THAT(wire_.ends, ElementsAre(""));
}

TEST_F(RankStreamLinkTest, WritesOneAfterTheOtherAndEndsBehindThem) {
  link_.Send(Numbered(1));
  link_.Send(Numbered(2));
  link_.Close(absl::UnavailableError("bye"));
  link_.Send(Numbered(3));  // too late
  EXPECT_THAT(wire_.written, ElementsAre(1));
  link_.OnWritten(true);
  EXPECT_THAT(wire_.written, ElementsAre(1, 2));
  EXPECT_THAT(wire_.ends, IsEmpty());
  link_.OnWritten(true);
  EXPECT_THAT(wire_.ends, ElementsAre("bye"));
  link_.OnHandled();
  EXPECT_EQ(0, wire_.reads) << "nothing is read behind the end";
}

TEST_F(RankStreamLinkTest, ARankThatTakesNothingIsCancelled) {
  for (int i = 0; i < 64; ++i) link_.Send(Numbered(i));
  EXPECT_EQ(0, wire_.cancels);
  link_.Send(Numbered(64));
  EXPECT_EQ(1, wire_.cancels);
  link_.OnWritten(false);
  EXPECT_EQ(1u, wire_.written.size());
}

TEST_F(RankStreamLinkTest, WithoutItsWireItDoesNothing) {
  Arrive(8);
  link_.Detach();
  link_.OnHandled();
  link_.Send(Numbered(1));
  link_.Close(absl::OkStatus());
  EXPECT_EQ(7, wire_.reads);
  EXPECT_THAT(wire_.written, IsEmpty());
  EXPECT_THAT(wire_.ends, IsEmpty());
}

// Those who call it: gRPC's threads and the dispatcher's. For TSan.
TEST_F(RankStreamLinkTest, IsThreadSafe) {
  std::thread dispatcher([this] {
    for (int i = 0; i < 1000; ++i) {
      link_.Send(Numbered(i));
      link_.OnHandled();
      link_.held();
    }
    link_.Close(absl::OkStatus());
  });
  for (int i = 0; i < 1000; ++i) {
    link_.OnArrived();
    if (link_.OnHeartbeat(BeatAt(i))) link_.TakeHeartbeat();
    link_.greeted();
  }
  link_.OnCancelled();
  link_.Detach();
  dispatcher.join();
}

}  // namespace
}  // namespace cogwheel
