#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/schedule/admission.h"
#include "server/schedule/request_queue.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Admission, NamesLimitAndCurrentValue) {
  const QueueLimits limits = {.jobs = 2, .bytes = 100, .seconds = 60, .tenant_jobs = 1};
  const JobCost cost = {.tenant = "t", .bytes = 40, .seconds = 3};
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {.jobs = 1, .bytes = 60, .seconds = 57}, cost));
  const absl::Status jobs = Admit(limits, {.jobs = 2, .seconds = 8}, cost);
  EXPECT_EQ("QUEUE_FULL", ErrorReason(jobs));
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, jobs.code());
  EXPECT_THAT(std::string(jobs.message()), HasSubstr("holds 2 jobs; its limit is 2"));
  EXPECT_EQ(milliseconds(4000), RetryAfter(jobs));  // a job's time
  EXPECT_EQ("QUEUE_BYTES", ErrorReason(Admit(limits, {.jobs = 1, .bytes = 61}, cost)));
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(Admit(limits, {.jobs = 1, .tenant_jobs = 1}, cost)));
  const absl::Status dear = Admit(limits, {.jobs = 1, .seconds = 59}, cost);
  EXPECT_EQ("QUEUE_COST", ErrorReason(dear));
  EXPECT_EQ(milliseconds(2000), RetryAfter(dear));
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {}, {.seconds = 100}));  // else it could never run
}

TEST(Admission, RefusesDeadlinesThatCannotBeMet) {
  const QueueLimits limits;
  const JobCost cost = {.seconds = 3, .deadline = 5};
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {.backlog_seconds = 2}, cost));
  const absl::Status behind = Admit(limits, {.backlog_seconds = 2.5}, cost);
  EXPECT_EQ("DEADLINE_UNREACHABLE", ErrorReason(behind));
  EXPECT_EQ(milliseconds(500), RetryAfter(behind));
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {}, cost));  // no group now: nobody knows
  const absl::Status never = Admit(limits, {}, {.seconds = 5.5, .deadline = 5});
  EXPECT_EQ("DEADLINE_IMPOSSIBLE", ErrorReason(never));
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, never.code());
  EXPECT_THAT(std::string(never.message()), HasSubstr("nearest legal value is 6 s"));
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {}, {.deadline = 0.001}));  // cost not known yet
}

TEST(AdmissionLedger, GivesPlacesBack) {
  AdmissionLedger ledger({.jobs = 1, .bytes = 10});
  EXPECT_TRUE(ledger.Reserve("a", {.bytes = 10, .seconds = 0.1}).ok());
  EXPECT_FALSE(ledger.HasRoom());
  EXPECT_FALSE(ledger.Reserve("b", {}).ok());
  ledger.Take("c", {.bytes = 7, .seconds = 0.2});  // accepted by a former process
  EXPECT_EQ(2, ledger.load().jobs);
  ledger.Release("a");
  ledger.Release("a");  // once is enough
  EXPECT_EQ(7, ledger.load().bytes);
  ledger.Release("c");
  EXPECT_TRUE(ledger.HasRoom());
  EXPECT_EQ(0, ledger.load().bytes);
  EXPECT_EQ(0, ledger.load().seconds);
  EXPECT_TRUE(ledger.Reserve("b", {.bytes = 10}).ok());
}

TEST(AdmissionLedger, ATenantMayHaveALimitOfItsOwn) {
  AdmissionLedger ledger({.tenant_jobs = 1});
  ledger.SetTenantLimits({{"large", 2}});
  for (const char* job : {"a", "b"}) {
    EXPECT_EQ(absl::OkStatus(), ledger.Reserve(job, {.tenant = "large"}));
  }
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(ledger.Reserve("c", {.tenant = "large"})));
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("d", {.tenant = "small"}));
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(ledger.Reserve("e", {.tenant = "small"})));
}

TEST(AdmissionLedger, KnowsTheBacklogOfAModel) {
  AdmissionLedger ledger({});
  ledger.Take("a", {.model = "m", .seconds = 6});
  ledger.Take("b", {.model = "other", .seconds = 100});
  ledger.SetGroups("m", /*groups=*/2, /*running_seconds=*/4);
  const JobCost fits = {.model = "m", .seconds = 1, .deadline = 6};  // starts in (6 + 4) / 2 s
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("c", fits));
  EXPECT_EQ("DEADLINE_UNREACHABLE", ErrorReason(ledger.Reserve("d", fits)));
}

QueuedJob Queued(const std::string& name, int priority = 4, seconds arrival = seconds(0)) {
  QueuedJob job;
  job.name = name;
  job.model = "m";
  job.priority = priority;
  job.arrival = QueuedJob::Time(arrival);
  return job;
}

std::vector<std::string> Order(const RequestQueue& queue) {
  std::vector<std::string> names;
  for (const QueuedJob* job : queue.InOrder()) names.push_back(job->name);
  return names;
}

TEST(RequestQueue, GoesByPriorityThenAge) {
  RequestQueue queue;
  queue.Push(Queued("a", 4, seconds(1)));
  queue.Push(Queued("b", 9, seconds(2)));
  queue.Push(Queued("c", 4, seconds(0)));
  EXPECT_THAT(Order(queue), ElementsAre("b", "c", "a"));
  EXPECT_EQ("b", queue.Take("b")->name);
  EXPECT_EQ(std::nullopt, queue.Take("b"));
  EXPECT_EQ(std::nullopt, queue.Remove("b"));
  EXPECT_EQ(2, queue.size());
}

TEST(RequestQueue, AMinuteOfWaitingIsWorthAPriority) {
  RequestQueue queue;
  queue.Push(Queued("old", 0, seconds(0)));
  queue.Push(Queued("sooner", 2, seconds(119)));
  queue.Push(Queued("later", 2, seconds(121)));
  EXPECT_THAT(Order(queue), ElementsAre("sooner", "old", "later"));
}

QueuedJob Of(const std::string& tenant, int number, double cost = 1) {
  QueuedJob job = Queued(tenant + std::to_string(number), 4, seconds(number));
  job.tenant = tenant;
  job.seconds = cost;
  return job;
}

TEST(RequestQueue, TenantsTakeTurnsWhateverTheirPriorities) {
  RequestQueue queue;
  for (int i = 0; i < 3; ++i) queue.Push(Of("a", i));
  for (int i = 5; i < 8; ++i) queue.Push(Of("b", i));
  queue.Push(Of("b", 1));
  EXPECT_THAT(Order(queue), ElementsAre("a0", "b1", "a1", "b5", "a2", "b6", "b7"));
}

TEST(RequestQueue, ADearJobCostsTurns) {
  RequestQueue queue;
  queue.Push(Of("a", 0, /*cost=*/3));
  queue.Push(Of("a", 1));
  for (int i = 1; i < 5; ++i) queue.Push(Of("b", i));
  EXPECT_THAT(Order(queue), ElementsAre("a0", "b1", "b2", "b3", "a1", "b4"));
}

TEST(RequestQueue, WeightsAreKept) {
  RequestQueue queue;
  queue.SetWeights({{"a", 2.0}});
  for (int i = 0; i < 4; ++i) queue.Push(Of("a", i));
  for (int i = 0; i < 2; ++i) queue.Push(Of("b", i));
  // Bills before each turn: a 0, b 0, a 0.5, then both 1 and b's is older, a 1, a 1.5.
  EXPECT_THAT(Order(queue), ElementsAre("a0", "b0", "a1", "b1", "a2", "a3"));
}

TEST(RequestQueue, NobodySavesUpTurnsOrEscapesHisBill) {
  RequestQueue queue;
  for (int i = 0; i < 4; ++i) queue.Push(Of("a", i));
  for (int i = 0; i < 3; ++i) queue.Take("a" + std::to_string(i));
  queue.Push(Of("b", 9));  // came late: gets the next turn, not three
  queue.Push(Of("b", 10));
  EXPECT_THAT(Order(queue), ElementsAre("b9", "a3", "b10"));
  queue.Take("b9");
  queue.Remove("b10");
  queue.Push(Of("b", 11));  // away for a moment: what it had still counts
  EXPECT_THAT(Order(queue), ElementsAre("a3", "b11"));
}

TEST(RequestQueue, KnowsWhoIsLate) {
  RequestQueue queue;
  const std::chrono::steady_clock::time_point now(seconds(100));
  QueuedJob late = Queued("late"), later = Queued("later");
  late.deadline = now;
  later.deadline = now + milliseconds(1);
  queue.Push(late);
  queue.Push(later);
  queue.Push(Queued("never"));
  EXPECT_THAT(queue.PastDeadline(now), ElementsAre("late"));
}

}  // namespace
}  // namespace cogwheel
