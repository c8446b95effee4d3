// What an operator asks of jobs, and what drained groups and paused jobs do.
#include <gmock/gmock.h>

#include "proto/contract/status.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DispatcherOperateTest : public DispatcherTest {
 protected:
  absl::Status Requeue(const std::string& name) {
    absl::Status answer = absl::UnknownError("not called");
    dispatcher_.Requeue(name, [&answer](absl::Status status) { answer = std::move(status); });
    Settle();
    return answer;
  }
  absl::Status Fail(const std::string& name) {
    absl::Status answer = absl::UnknownError("not called");
    dispatcher_.Fail(name, MakeError(absl::StatusCode::kAborted, "OPERATOR", "a broken picture"),
                     [&answer](absl::Status status) { answer = std::move(status); });
    Settle();
    return answer;
  }
};

TEST_F(DispatcherOperateTest, ARequeuedJobRunsAgainUncharged) {
  const std::string name = Accepted();
  group_.Start();
  ASSERT_TRUE(Requeue(name).ok());
  EXPECT_EQ(1, group_.cancels);
  EXPECT_EQ(JobState::kRunning, Get(name).state);  // until the ranks have left it
  group_.End(Cancelled());
  ASSERT_EQ(2, group_.orders.size());
  EXPECT_EQ(name, group_.orders[1].job);
  EXPECT_EQ(2, group_.orders[1].attempt);
  EXPECT_EQ(0, Get(name).charges);
  group_.Start();
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
}

// Its group says then that it was cancelled before it started.
TEST_F(DispatcherOperateTest, AJobThatNotAllRanksHaveAgreedToIsRequeuedToo) {
  const std::string name = Accepted();
  ASSERT_TRUE(Requeue(name).ok());
  group_.Refuse(absl::CancelledError("cancelled before it started"));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
  EXPECT_EQ(2, Get(name).attempt);
  EXPECT_EQ(0, Get(name).charges);
}

TEST_F(DispatcherOperateTest, AJobThatIsBeingClaimedFailsThoughTheClaimDoes) {
  faulty_.holds_claims = true;
  const std::string name = Accepted();
  ASSERT_TRUE(Fail(name).ok());
  faulty_.fault = [](const std::string& method) {
    return method == "ClaimNext" ? MakeError(absl::StatusCode::kUnavailable, "STORE", "busy")
                                 : absl::OkStatus();
  };
  faulty_.AnswerHeld();
  Settle();
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ("OPERATOR", Get(name).error.reason);
}

TEST_F(DispatcherOperateTest, AResultThatIsThereWinsOverARequeue) {
  const std::string name = Accepted();
  group_.Start();
  group_.Chunk(0, "abc");
  ASSERT_TRUE(Requeue(name).ok());
  group_.End(Done("abc"));
  EXPECT_EQ(JobState::kSucceeded, Get(name).state);
}

TEST_F(DispatcherOperateTest, AnOwnersCancelWinsOverARequeue) {
  const std::string name = Accepted();
  group_.Start();
  ASSERT_TRUE(Requeue(name).ok());
  ASSERT_TRUE(Cancel(name).ok());
  group_.End(Cancelled());
  EXPECT_EQ(JobState::kCancelled, Get(name).state);
}

TEST_F(DispatcherOperateTest, OnlyWhatRunsIsRequeued) {
  Accepted();
  const std::string waits = Accepted();
  EXPECT_EQ("NOT_RUNNING", ErrorReason(Requeue(waits)));
  EXPECT_EQ("NOT_RUNNING", ErrorReason(Requeue("jobs/unknown")));
  EXPECT_EQ(0, group_.cancels);
}

TEST_F(DispatcherOperateTest, AQueuedJobFailsAtOnceWithTheOperatorsWords) {
  Accepted();
  const std::string waits = Accepted();
  ASSERT_TRUE(Fail(waits).ok());
  const Job failed = Get(waits);
  EXPECT_EQ(JobState::kFailed, failed.state);
  EXPECT_EQ("OPERATOR", failed.error.reason);
  EXPECT_EQ("a broken picture", failed.error.message);
  EXPECT_EQ("FINISHED", ErrorReason(Fail(waits)));
  EXPECT_EQ(0, group_.cancels);
}

TEST_F(DispatcherOperateTest, ARunningJobFailsOnceItsRanksHaveLeftIt) {
  const std::string name = Accepted();
  group_.Start();
  ASSERT_TRUE(Fail(name).ok());
  EXPECT_EQ(1, group_.cancels);
  group_.End(Cancelled());
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ("OPERATOR", Get(name).error.reason);
  EXPECT_THAT(Kinds(name), ElementsAre("queued", "started", "failed"));
}

TEST_F(DispatcherOperateTest, AJobThatFailsIsNotRunAgainWhenItsGroupIsLost) {
  const std::string name = Accepted();
  group_.Start();
  ASSERT_TRUE(Fail(name).ok());
  group_.Lose(MakeError(absl::StatusCode::kUnavailable, "GROUP_LOST", "rank a:cpu was lost"));
  EXPECT_EQ(JobState::kFailed, Get(name).state);
  EXPECT_EQ("OPERATOR", Get(name).error.reason);
}

// While the store owes it an end.
TEST_F(DispatcherOperateTest, AnEndThatIsOnItsWayIsNotChanged) {
  const std::string done = Accepted();
  faulty_.fault = [](const std::string& method) {
    return method == "Finish" || method == "Requeue"
               ? MakeError(absl::StatusCode::kUnavailable, "STORE", "disk")
               : absl::OkStatus();
  };
  group_.Start();
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  EXPECT_EQ("FINISHED", ErrorReason(Fail(done)));
  const std::string lost = Accepted();
  health_.Passed(health_.failures());
  Pass(std::chrono::milliseconds(100));
  group_.Lose(absl::UnavailableError("gone"));
  EXPECT_TRUE(Fail(lost).ok()) << "it is to wait again";
  faulty_.fault = [](const std::string&) { return absl::OkStatus(); };
  Pass(std::chrono::seconds(1));
  EXPECT_EQ(JobState::kSucceeded, Get(done).state);
  EXPECT_EQ(JobState::kFailed, Get(lost).state);
}

TEST_F(DispatcherOperateTest, ADrainedGroupEndsItsJobAndGetsNoOther) {
  const std::string first = Accepted(), second = Accepted();
  orders_.Apply([](OperatorOrders& orders) { orders.drained.insert("g"); });
  group_.Start();
  group_.Chunk(0, "abc");
  group_.End(Done("abc"));
  loop_.RunPending();
  EXPECT_EQ(JobState::kSucceeded, Get(first).state);
  EXPECT_EQ(JobState::kQueued, Get(second).state);
  EXPECT_THAT(WaitingFor(second), HasSubstr("an operator has drained g"));
  orders_.Apply([](OperatorOrders& orders) { orders.drained.clear(); });
  Pass(std::chrono::milliseconds(100));  // the next tick
  EXPECT_EQ(second, group_.orders.back().job);
}

TEST_F(DispatcherOperateTest, APausedTenantsJobsAreAcceptedAndWait) {
  orders_.Apply([](OperatorOrders& orders) {
    orders.paused[{PauseTarget::Kind::kTenant, "default"}] = "unpaid";
  });
  const std::string name = Accepted();
  EXPECT_EQ(JobState::kQueued, Get(name).state);
  EXPECT_EQ("tenant default is paused: unpaid", WaitingFor(name));
  orders_.Apply([](OperatorOrders& orders) { orders.paused.clear(); });
  Pass(std::chrono::milliseconds(100));
  EXPECT_EQ(JobState::kRunning, Get(name).state);
}

}  // namespace
}  // namespace cogwheel
