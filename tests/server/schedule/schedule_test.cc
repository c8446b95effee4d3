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

constexpr QueueAmount kAny = {1'000'000, int64_t{1} << 40, 1e9};

// Without a share, and with room of its own.
absl::Status AdmitAny(const QueueAmount& limits, const QueueAmount& all, const JobCost& cost) {
  return Admit(limits, {kAny}, {all}, cost);
}

TEST(Admission, NamesLimitAndCurrentValue) {
  const QueueAmount limits = {.jobs = 2, .bytes = 100, .seconds = 60};
  const JobCost cost = {.tenant = "t", .bytes = 40, .seconds = 3};
  EXPECT_EQ(absl::OkStatus(), AdmitAny(limits, {.jobs = 1, .bytes = 60, .seconds = 57}, cost));
  const absl::Status jobs = AdmitAny(limits, {.jobs = 2, .seconds = 8}, cost);
  EXPECT_EQ("QUEUE_FULL", ErrorReason(jobs));
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, jobs.code());
  EXPECT_THAT(std::string(jobs.message()), HasSubstr("holds 2 jobs; its limit is 2"));
  EXPECT_EQ(milliseconds(4000), RetryAfter(jobs));  // a job's time
  EXPECT_EQ("QUEUE_BYTES", ErrorReason(AdmitAny(limits, {.jobs = 1, .bytes = 61}, cost)));
  const absl::Status dear = AdmitAny(limits, {.jobs = 1, .seconds = 59}, cost);
  EXPECT_EQ("QUEUE_COST", ErrorReason(dear));
  EXPECT_EQ(milliseconds(2000), RetryAfter(dear));
  EXPECT_EQ(absl::OkStatus(), AdmitAny(limits, {}, {.seconds = 100}));  // else it could never run
}

// B9: each amount is held against the tenant's own limit.
TEST(Admission, ATenantsQuotaNamesLimitAndItsOwnValue) {
  const TenantPlaces places = {{.jobs = 2, .bytes = 100, .seconds = 60}};
  const JobCost cost = {.tenant = "t", .bytes = 40, .seconds = 3};
  const auto refusal = [&](const QueueAmount& own) {
    const absl::Status status = Admit(kAny, places, {.all = {.jobs = 9}, .own = own}, cost);
    EXPECT_EQ("TENANT_QUOTA", ErrorReason(status));
    EXPECT_TRUE(absl::IsResourceExhausted(status));
    EXPECT_TRUE(RetryAfter(status).has_value());
    return std::string(status.message());
  };
  EXPECT_EQ(absl::OkStatus(), Admit(kAny, places, {.own = {1, 60, 57}}, cost));
  EXPECT_EQ("tenant t has 2 jobs queued; its limit is 2", refusal({2, 0, 0}));
  EXPECT_EQ("tenant t has 61 bytes queued and the job has 40; its limit is 100",
            refusal({1, 61, 0}));
  EXPECT_EQ("tenant t has jobs of 58 s queued and the job should take 3 s; its limit is 60 s",
            refusal({1, 0, 58}));
  // A share may be smaller than any job.
  EXPECT_EQ(absl::OkStatus(), Admit(kAny, places, {}, {.bytes = 101, .seconds = 61}));
}

// B9: who is given more than its share by name cannot push the others out of theirs.
TEST(Admission, AFullQueueHasRoomForWhoIsBelowItsShare) {
  const QueueAmount limits = {.jobs = 10, .bytes = 100, .seconds = 60};
  const TenantPlaces half = {limits, /*share=*/0.5};
  const JobCost cost = {.bytes = 10, .seconds = 6};
  EXPECT_EQ(absl::OkStatus(),
            Admit(limits, half, {.all = {10, 100, 60}, .own = {4, 40, 24}}, cost));
  EXPECT_EQ("QUEUE_FULL", ErrorReason(Admit(limits, half, {.all = {10}, .own = {5}}, cost)));
  EXPECT_EQ("QUEUE_BYTES",
            ErrorReason(Admit(limits, half, {.all = {5, 91}, .own = {4, 41}}, cost)));
  EXPECT_EQ("QUEUE_COST",
            ErrorReason(Admit(limits, half, {.all = {5, 0, 55}, .own = {4, 0, 25}}, cost)));
}

TEST(Admission, RefusesDeadlinesThatCannotBeMet) {
  const auto admit = [](std::optional<double> backlog, const JobCost& cost) {
    return Admit(kAny, {kAny}, {.backlog_seconds = backlog}, cost);
  };
  const JobCost cost = {.seconds = 3, .deadline = 5};
  EXPECT_EQ(absl::OkStatus(), admit(2, cost));
  const absl::Status behind = admit(2.5, cost);
  EXPECT_EQ("DEADLINE_UNREACHABLE", ErrorReason(behind));
  EXPECT_EQ(milliseconds(500), RetryAfter(behind));
  EXPECT_EQ(absl::OkStatus(), admit(std::nullopt, cost));  // no group now: nobody knows
  const absl::Status never = admit(std::nullopt, {.seconds = 5.5, .deadline = 5});
  EXPECT_EQ("DEADLINE_IMPOSSIBLE", ErrorReason(never));
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, never.code());
  EXPECT_THAT(std::string(never.message()), HasSubstr("nearest legal value is 6 s"));
  EXPECT_EQ(absl::OkStatus(), admit(std::nullopt, {.deadline = 0.001}));  // cost not known yet
}

TEST(AdmissionLedger, GivesPlacesBack) {
  AdmissionLedger ledger({.jobs = 1, .bytes = 10, .seconds = 9});
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

TEST(AdmissionLedger, CountsEachTenantsOwn) {
  AdmissionLedger ledger(kAny);
  ledger.SetTenants({{"large", {{2, 100, 9}}}, {"small", {{1, 50, 9}}}});
  for (const char* job : {"a", "b"}) {
    EXPECT_EQ(absl::OkStatus(), ledger.Reserve(job, {.tenant = "large", .bytes = 50}));
  }
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(ledger.Reserve("c", {.tenant = "large"})));
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("d", {.tenant = "small"}));
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(ledger.Reserve("e", {.tenant = "small"})));
  ledger.Release("a");
  // An input takes bytes and no place.
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("i", {.tenant = "large", .bytes = 50, .jobs = 0}));
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(ledger.Reserve("c", {.tenant = "large", .bytes = 1})));
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("c", {.tenant = "large"}));
  EXPECT_EQ(absl::OkStatus(), ledger.Reserve("f", {.tenant = "not named"}));
}

// They may wait for ever; what can run must find places.
TEST(AdmissionLedger, JobsOfAModelThatNobodyServesTakeHalfOfTheirTenantsPlaces) {
  AdmissionLedger ledger(kAny);
  ledger.SetTenants({{"t", {{4, 100, 9}}}});
  const auto reserve = [&](const std::string& job, const std::string& model) {
    return ledger.Reserve(job, {.model = model, .tenant = "t"});
  };
  ledger.SetService("gone", {.unserved_seconds = 601});
  ledger.SetService("late", {.unserved_seconds = 601});
  ledger.SetService("away", {.unserved_seconds = 600});
  EXPECT_EQ(absl::OkStatus(), reserve("a", "gone"));
  EXPECT_EQ(absl::OkStatus(), reserve("b", "late"));
  const absl::Status refused = reserve("c", "gone");
  EXPECT_EQ("TENANT_QUOTA", ErrorReason(refused));
  EXPECT_EQ(
      "tenant t has 2 jobs queued for models that no group serves, as gone; their limit is 2,"
      " half of its places",
      refused.message());
  EXPECT_EQ(absl::OkStatus(), reserve("d", "away"));  // its group restarts
  EXPECT_EQ(absl::OkStatus(), reserve("e", "never heard of"));
  ledger.Release("d");
  ledger.SetService("gone", {.groups = 1});
  EXPECT_EQ(absl::OkStatus(), reserve("c", "gone"));
}

TEST(AdmissionLedger, KnowsTheBacklogOfAModel) {
  AdmissionLedger ledger(kAny);
  ledger.Take("a", {.model = "m", .seconds = 6});
  ledger.Take("b", {.model = "other", .seconds = 100});
  ledger.SetService("m", {.groups = 2, .running_seconds = 4});
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
