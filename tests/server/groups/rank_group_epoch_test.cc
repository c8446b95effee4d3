// The number of a group's epoch, which a store gives when it can.
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

class RankGroupEpochTest : public RankGroupTest {
 protected:
  RankGroupEpochTest() {
    faulty_.fault = [this](const std::string& method) {
      if (method != "NewEpoch") return absl::OkStatus();
      ++asked_;
      return store_error_;
    };
  }
  void JoinBoth() {
    b_ = Join(1, MakeHello("b", 0));
    a_ = Join(2, MakeHello("a", 0));
  }
  void PassWithBeats(int time_s) {
    for (int second = 0; second < time_s; ++second) {
      Beat(1);
      Beat(2);
      Pass(seconds(1));
    }
  }

  absl::Status store_error_ = absl::UnavailableError("the disk fails");
  int asked_ = 0;
};

// For an outage of the store no worker is to use up its restarts.
TEST_F(RankGroupEpochTest, AStoreThatFailsKeepsTheRanksWaiting) {
  JoinBoth();
  EXPECT_EQ(1, asked_);
  PassWithBeats(3600);
  EXPECT_THAT(a_->sent, IsEmpty());
  EXPECT_FALSE(a_->closed.has_value());
  EXPECT_THAT(recorder_.told, IsEmpty());
  EXPECT_EQ(2, Board().ranks_size());
  EXPECT_EQ(v1::RANK_JOINED, Board().ranks(0).state());
  // After 1, 2, 4, 8, 16 and then each 30 s: at 1, 3, 7, 15, 31, 61 ... of 3600.
  EXPECT_EQ(1 + 5 + (3600 - 31) / 30, asked_);
  store_error_ = absl::OkStatus();
  PassWithBeats(30);
  ASSERT_FALSE(a_->sent.empty());
  EXPECT_EQ(0, a_->last().assign().world_rank());
}

TEST_F(RankGroupEpochTest, ARankMayGoMeanwhileAndAnotherCome) {
  JoinBoth();
  groups_.OnGone(1);
  EXPECT_THAT(recorder_.told, IsEmpty());
  EXPECT_FALSE(a_->closed.has_value());
  store_error_ = absl::OkStatus();
  PassWithBeats(30);
  EXPECT_EQ(1, asked_) << "a group that is not complete needs no number";
  EXPECT_THAT(a_->sent, IsEmpty());
  Join(3, MakeHello("c", 0));
  EXPECT_EQ(2, asked_);
  EXPECT_THAT(a_->last().assign().peer_addresses(), ElementsAre("a:1000", "c:1000"));
}

TEST_F(RankGroupEpochTest, ARankThatIsAboutToLeaveGetsNoPlace) {
  b_ = Join(1, MakeHello("b", 0));
  internal::v1::RankMessage leaving;
  leaving.mutable_leaving();
  groups_.OnMessage(1, leaving);
  store_error_ = absl::OkStatus();
  a_ = Join(2, MakeHello("a", 0));
  EXPECT_EQ(0, asked_);
  Pass(seconds(5));
  EXPECT_THAT(a_->sent, IsEmpty());
  groups_.OnGone(1);
  Join(3, MakeHello("b", 0));
  EXPECT_TRUE(a_->last().has_assign());
}

// Silent ranks are missed as ever.
TEST_F(RankGroupEpochTest, SilenceIsNoticedWhileTheStoreIsAsked) {
  JoinBoth();
  for (int second = 0; second < 15; ++second) {
    Beat(2);
    Pass(seconds(1));
  }
  EXPECT_TRUE(b_->sent_away());
  EXPECT_FALSE(a_->closed.has_value());
  EXPECT_EQ(1, Board().ranks_size());
}

// A store whose answers a test gives, when it likes.
class LateStoreTest : public testing::Test {
 protected:
  void Answer(size_t question, absl::StatusOr<int64_t> epoch) {
    store_.questions.at(question)(std::move(epoch));
    while (!posted_.empty()) {
      const std::function<void()> task = std::move(posted_.front());
      posted_.pop_front();
      task();
    }
  }
  struct Store : MemoryJobStore {
    void NewEpoch(v1::Model, cogwheel::Answer<int64_t> done) override {
      questions.push_back(std::move(done));
    }
    std::vector<cogwheel::Answer<int64_t>> questions;
  };

  FakeClock clock_;
  Store store_;
  std::deque<std::function<void()>> posted_;
  std::vector<int64_t> got_;
  std::unique_ptr<EpochRequest> request_ = std::make_unique<EpochRequest>(
      store_, clock_, [this](std::function<void()> task) { posted_.push_back(std::move(task)); });
  const std::function<void(int64_t)> keep_ = [this](int64_t epoch) { got_.push_back(epoch); };
};

TEST_F(LateStoreTest, OnlyTheLastQuestionsAnswerCounts) {
  request_->Begin({}, keep_);
  request_->Drop();
  request_->Begin({}, keep_);
  Answer(0, 1);
  EXPECT_THAT(got_, IsEmpty());
  Answer(1, 2);
  EXPECT_THAT(got_, ElementsAre(2));
}

TEST_F(LateStoreTest, AnAnswerAfterDropOrAfterTheGroupMeansNothing) {
  request_->Begin({}, keep_);
  request_->Drop();
  Answer(0, 1);
  request_->Begin({}, keep_);
  request_.reset();
  Answer(1, 2);
  EXPECT_THAT(got_, IsEmpty());
}

}  // namespace
}  // namespace cogwheel
