#include "server/streams/read_pace.h"

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

// Notes what it is told; answers only when a test does.
class PuppetReadWire final : public ReadWire {
 public:
  void Read() override { ++reads; }
  void Finish(const absl::Status& status) override { finished.push_back(status); }
  void CancelCall() override { ++cancelled; }
  int reads = 0;
  std::vector<absl::Status> finished;
  int cancelled = 0;
};

class ReadPaceTest : public testing::Test {
 protected:
  // Until the pool's one thread has done all that was posted.
  void Settle() {
    std::promise<void> done;
    pool_.Post("t", [&done] { done.set_value(); });
    done.get_future().wait();
  }
  // A message whose work is answered by answer_.
  void Arrive() {
    pace_->OnMessage([this](const ReadPace::Answered& done) { answer_ = done; });
    Settle();
  }

  FakeClock clock_;
  PuppetReadWire wire_;
  ReadPace::Answered answer_;
  IoPool pool_{{.threads = 1}};
  std::shared_ptr<ReadPace> pace_ =
      std::make_shared<ReadPace>(ReadPace::Parts{wire_, pool_, clock_, "t"});
};

TEST_F(ReadPaceTest, ReadsTheNextMessageOnceTheOneBeforeIsDealtWith) {
  pace_->Begin();
  EXPECT_EQ(1, wire_.reads);
  Arrive();
  EXPECT_EQ(1, wire_.reads);
  answer_(std::nullopt);
  EXPECT_EQ(2, wire_.reads);
  Arrive();
  answer_(absl::OkStatus());
  EXPECT_EQ(2, wire_.reads);
  EXPECT_THAT(wire_.finished, ElementsAre(absl::OkStatus()));
  pace_->OnCancelled();
  pace_->Close(absl::UnavailableError("late"), /*more=*/0);
  EXPECT_EQ(1, wire_.finished.size());
}

TEST_F(ReadPaceTest, EndsWithWhatIsSaidOfAStreamWithoutMoreMessages) {
  pace_->Begin();
  pace_->OnNoMessage(absl::InvalidArgumentError("unfinished"));
  EXPECT_THAT(wire_.finished, ElementsAre(absl::InvalidArgumentError("unfinished")));
}

TEST_F(ReadPaceTest, NeverFinishesBesideTheWork) {
  pace_->Begin();
  Arrive();
  pace_->OnCancelled();
  pace_->Close(absl::UnavailableError("closed"), /*more=*/0);
  EXPECT_THAT(wire_.finished, IsEmpty());
  answer_(absl::OkStatus());
  EXPECT_THAT(wire_.finished, ElementsAre(absl::CancelledError("the caller has left")));
  EXPECT_EQ(1, wire_.reads);
}

TEST_F(ReadPaceTest, ClosesAtOnceWhileItWaits) {
  pace_->Begin();
  pace_->Close(absl::UnavailableError("closed"), /*more=*/16);
  EXPECT_THAT(wire_.finished, ElementsAre(absl::UnavailableError("closed")));
  pace_->OnNoMessage(absl::InvalidArgumentError("unfinished"));  // gRPC ends the read
  EXPECT_EQ(1, wire_.finished.size());
}

TEST_F(ReadPaceTest, RefusedBeforeItBeganReadsNothing) {
  pace_->Close(absl::UnauthenticatedError("no"), /*more=*/0);
  pace_->Begin();
  EXPECT_EQ(0, wire_.reads);
  EXPECT_THAT(wire_.finished, ElementsAre(absl::UnauthenticatedError("no")));
}

TEST_F(ReadPaceTest, StallsWhileNothingComesAndNotWhileItWorks) {
  pace_->Begin();
  clock_.Advance(seconds(31));
  EXPECT_TRUE(pace_->StalledSince(clock_.Now() - seconds(30)));
  Arrive();
  clock_.Advance(seconds(31));
  EXPECT_FALSE(pace_->StalledSince(clock_.Now() - seconds(30)));
  answer_(std::nullopt);
  EXPECT_FALSE(pace_->StalledSince(clock_.Now() - seconds(30)));
  clock_.Advance(seconds(31));
  EXPECT_TRUE(pace_->StalledSince(clock_.Now() - seconds(30)));
  pace_->Cut();
  EXPECT_FALSE(pace_->StalledSince(clock_.Now() - seconds(30))) << "cut once";
  Settle();
  EXPECT_EQ(1, wire_.cancelled);
  pace_->OnCancelled();
  EXPECT_THAT(wire_.finished,
              ElementsAre(absl::CancelledError("the caller sent nothing for too long")));
}

TEST_F(ReadPaceTest, ACutAfterTheEndTouchesNoWire) {
  pace_->Begin();
  pace_->OnNoMessage(absl::InvalidArgumentError("unfinished"));
  pace_->OnOver();
  pace_->Cut();
  Settle();
  EXPECT_EQ(0, wire_.cancelled);
}

TEST_F(ReadPaceTest, WhateverComesAtOnceItFinishesOnce) {
  for (int round = 0; round < 200; ++round) {
    PuppetReadWire wire;
    IoPool pool({.threads = 2});
    const auto pace = std::make_shared<ReadPace>(ReadPace::Parts{wire, pool, clock_, "t"});
    pace->Begin();
    std::thread closer([&] { pace->Close(absl::UnavailableError("closed"), /*more=*/0); });
    std::thread leaver([&] { pace->OnCancelled(); });
    pace->OnMessage([](const ReadPace::Answered& done) { done(absl::OkStatus()); });
    closer.join();
    leaver.join();
    std::promise<void> done;
    pool.Post("t", [&done] { done.set_value(); });
    done.get_future().wait();
    pool.Stop();
    ASSERT_EQ(1, wire.finished.size());
  }
}

}  // namespace
}  // namespace cogwheel
