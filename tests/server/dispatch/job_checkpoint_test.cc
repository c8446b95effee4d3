// A job and the checkpoint that it was checked against, and what ranks have to say of a job before
// it starts.
#include <gmock/gmock.h>

#include "proto/contract/status.h"
#include "tests/server/dispatch/dispatcher_fixture.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr char kOld[] = "0123456789abcdef", kNew[] = "fedcba9876543210";

class JobCheckpointTest : public DispatcherTest {
 protected:
  JobCheckpointTest() { group_.digest = kOld; }
  // What new requests are checked against from now on.
  void Offer(const std::string& digest) {
    v1::Model model = TestModel("tiny");
    model.set_digest(digest);
    ASSERT_TRUE(BlockingStore(store_).NewEpoch(model).ok());
  }
  v1::Started Started(const std::string& name) {
    v1::Started last;
    for (const v1::JobEvent& event : Events(name)) {
      if (event.has_started()) last = event.started();
    }
    return last;
  }
  // A job that an earlier process left.
  std::string Stored(const std::string& digest) {
    NewJob job;
    job.job.name = "jobs/1";
    job.job.tenant = "default";
    job.job.request.set_model("tiny");
    job.job.model_digest = digest;
    store_.Watch([](const Job&) {});  // it had another dispatcher
    store_.Create(job, [](const auto&) {});
    dispatcher_.Recover(BlockingStore(store_).Adopt().value());
    loop_.RunPending();
    Pass(std::chrono::milliseconds(1100));
    return job.job.name;
  }
};

TEST_F(JobCheckpointTest, RunsOnNoOtherCheckpointThanTheOneItWasCheckedAgainst) {
  Offer(kNew);  // whose group is not there yet
  const std::string job = Accepted();
  EXPECT_EQ(kNew, Get(job).model_digest);
  EXPECT_EQ(JobState::kQueued, Get(job).state);
  EXPECT_TRUE(group_.orders.empty());
  EXPECT_EQ(
      "no group serves checkpoint fedcba987654 of model tiny, which the request was checked "
      "against; served is 0123456789ab",
      WaitingFor(job));
  Offer(kOld);
  const std::string of_old = Accepted();  // behind it, and held up by nothing
  EXPECT_EQ("g", Get(of_old).group);

  PuppetWorkerGroup rolled_out("h", "tiny", dispatcher_, Settler());
  rolled_out.digest = kNew;
  rolled_out.Form(/*epoch=*/8);
  loop_.RunPending();
  EXPECT_EQ("h", Get(job).group);
  rolled_out.Start();
  EXPECT_EQ(kNew, Started(job).model_digest());
}

TEST_F(JobCheckpointTest, AJobWithoutItsCheckpointIsNoneThatIsAhead) {
  Offer(kOld);
  Accepted();  // runs
  Offer(kNew);
  Accepted();
  Offer(kOld);
  for (const int position : {1, 2}) {
    v1::Queued told;
    for (const v1::JobEvent& event : Events(Accepted())) {
      if (event.has_queued()) told = event.queued();
    }
    EXPECT_EQ(position, told.position());
    EXPECT_EQ("", told.waiting_for());
  }
}

TEST_F(JobCheckpointTest, ALostAttemptWaitsForItsOwnCheckpoint) {
  Offer(kOld);
  const std::string job = Accepted();
  ASSERT_EQ(1, group_.orders.size());
  group_.Lose(absl::UnavailableError("gone"));
  PuppetWorkerGroup rolled_out("h", "tiny", dispatcher_, Settler());
  rolled_out.digest = kNew;
  rolled_out.Form(/*epoch=*/8);
  loop_.RunPending();
  EXPECT_TRUE(rolled_out.orders.empty());
  Pass(std::chrono::milliseconds(1100));
  EXPECT_THAT(WaitingFor(job), HasSubstr("no group serves checkpoint 0123456789ab"));
  group_.Form(/*epoch=*/9);
  loop_.RunPending();
  EXPECT_EQ(2, group_.orders.size());
}

TEST_F(JobCheckpointTest, AJobFromBeforeDigestsRunsOnAny) {
  const std::string job = Stored("");
  ASSERT_EQ(1, group_.orders.size());
  group_.Start();
  EXPECT_EQ(kOld, Started(job).model_digest());
}

TEST_F(JobCheckpointTest, ACheckpointThatIsGoneForGoodIsNamedAndTheJobCanBeCancelled) {
  const std::string job = Stored("5");
  EXPECT_TRUE(group_.orders.empty());
  EXPECT_THAT(WaitingFor(job), HasSubstr("checkpoint 5 of model tiny"));
  ASSERT_TRUE(Cancel(job).ok());
  EXPECT_EQ(JobState::kCancelled, Get(job).state);
}

TEST_F(JobCheckpointTest, ACheckpointThatIsGoneForGoodLetsTheDeadlinePass) {
  Offer(kNew);
  const std::string job = WithDeadline(5);
  Pass(std::chrono::seconds(6));
  EXPECT_EQ(JobState::kExpired, Get(job).state);
}

TEST_F(JobCheckpointTest, AGroupThatDoesNotKnowItsDigestGetsNoJobOfAKnownOne) {
  Offer(kNew);
  group_.digest = "";
  EXPECT_THAT(WaitingFor(Accepted()), HasSubstr("served is one that is not known"));
  EXPECT_TRUE(group_.orders.empty());
}

TEST_F(JobCheckpointTest, WhatACheckpointsOwnGroupsCannotDoIsSaidFirst) {
  const TenantRules rules(metrics_);
  Placement placement(costs_, orders_.Now(), rules);
  placement.AddIdle({.name = "a", .model = "tiny", .model_digest = kOld});
  placement.AddIdle({.name = "b", .model = "tiny", .model_digest = kNew, .capabilities = {7}});
  QueuedJob job = {.model = "tiny", .model_digest = kOld, .needs = {7}};
  EXPECT_FALSE(placement.Take(job).has_value());
  EXPECT_EQ("no group of model tiny can do capability 7", placement.Lacking(job));
  job.model_digest = kNew;
  EXPECT_EQ("", placement.Lacking(job));
  EXPECT_EQ("b", placement.Take(job)->group);
  job.model = "other";  // nobody serves it: it waits for a group, as ever
  EXPECT_EQ("", placement.Lacking(job));
}

TEST_F(JobCheckpointTest, WarningsAreKeptAndToldFromTheStartOn) {
  Offer(kOld);
  const std::string job = Accepted();
  EXPECT_TRUE(Get(job).warnings.empty());
  group_.Start({.warnings = {"first", "second"}});
  EXPECT_THAT(Started(job).warnings(), ElementsAre("first", "second"));
  EXPECT_THAT(Get(job).warnings, ElementsAre("first", "second"));
  group_.Lose(absl::UnavailableError("gone"));
  group_.Form(/*epoch=*/8);
  loop_.RunPending();
  group_.Start({.warnings = {"second", "third"}});  // of the next attempt: none twice
  EXPECT_THAT(Started(job).warnings(), ElementsAre("first", "second", "third"));
  group_.End(Done(""));
  EXPECT_THAT(Get(job).warnings, ElementsAre("first", "second", "third"));
}

TEST_F(JobCheckpointTest, WarningsSurviveAStoreThatFailsForAWhile) {
  Offer(kOld);
  const std::string job = Accepted();
  bool down = true;
  faulty_.fault = [&down](const std::string& method) {
    return down && (method == "Warn" || method == "Finish")
               ? MakeError(absl::StatusCode::kUnavailable, "STORE", "disk I/O error")
               : absl::OkStatus();
  };
  group_.Start({.warnings = {"cut"}});
  group_.End(Done(""));
  EXPECT_TRUE(Get(job).warnings.empty());
  down = false;
  Pass(std::chrono::milliseconds(1100));
  EXPECT_EQ(JobState::kSucceeded, Get(job).state);
  EXPECT_THAT(Get(job).warnings, ElementsAre("cut"));
}

}  // namespace
}  // namespace cogwheel
