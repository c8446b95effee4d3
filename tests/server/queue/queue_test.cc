#include <map>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/queue/admission.h"
#include "server/queue/job.h"
#include "server/queue/job_name.h"
#include "server/queue/request_hash.h"
#include "server/queue/request_queue.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

TEST(Job, TransitionsAreThoseOfTheTable) {
  const std::vector<JobState> states = {JobState::kQueued,    JobState::kRunning,
                                        JobState::kSucceeded, JobState::kFailed,
                                        JobState::kCancelled, JobState::kExpired};
  const std::map<JobState, std::string> legal = {{JobState::kQueued, "RFCE"},
                                                 {JobState::kRunning, "QSFCE"}};
  for (const JobState from : states) {
    for (const JobState to : states) {
      const auto row = legal.find(from);
      const bool expected =
          row != legal.end() && row->second.find(JobStateName(to)[0]) != std::string::npos;
      EXPECT_EQ(expected, IsLegalTransition(from, to))
          << JobStateName(from) << " -> " << JobStateName(to);
      EXPECT_FALSE(IsTerminal(from) && IsLegalTransition(from, to));
    }
  }
}

TEST(JobName, RisesWithinAMillisecondAndAgainstTheClock) {
  JobNamer namer;
  const std::chrono::system_clock::time_point now(milliseconds(1'700'000'000'000));
  std::string last = namer.Next(now);
  EXPECT_TRUE(NormalizeJobName(last).ok()) << last;
  EXPECT_EQ("jobs/01hf7yat00", last.substr(0, 15));  // 1,700,000,000,000 in base 32
  for (const milliseconds shift : {milliseconds(0), milliseconds(0), -milliseconds(5000),
                                   milliseconds(1), milliseconds(1), milliseconds(50)}) {
    const std::string next = namer.Next(now + shift);
    EXPECT_LT(last, next);
    last = next;
  }
}

TEST(Admission, NamesLimitAndCurrentValue) {
  const QueueLimits limits = {.jobs = 2, .bytes = 100};
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {1, 0}, 100, seconds(3)));
  const absl::Status jobs = Admit(limits, {2, 0}, 1, seconds(3));
  EXPECT_EQ("QUEUE_JOBS", ErrorReason(jobs));
  EXPECT_THAT(std::string(jobs.message()), HasSubstr("holds 2 jobs; its limit is 2"));
  EXPECT_EQ(milliseconds(3000), RetryAfter(jobs));
  const absl::Status bytes = Admit(limits, {1, 60}, 41, seconds(3));
  EXPECT_EQ(absl::StatusCode::kResourceExhausted, bytes.code());
  EXPECT_EQ("QUEUE_BYTES", ErrorReason(bytes));
  EXPECT_EQ(absl::OkStatus(), Admit(limits, {1, 60}, 40, seconds(3)));
}

TEST(AdmissionLedger, GivesPlacesBack) {
  AdmissionLedger ledger({.jobs = 1, .bytes = 10});
  EXPECT_TRUE(ledger.Reserve(10).ok());
  EXPECT_FALSE(ledger.HasRoom());
  EXPECT_FALSE(ledger.Reserve(0).ok());
  ledger.Release(10);
  EXPECT_TRUE(ledger.HasRoom());
  EXPECT_EQ(0, ledger.load().bytes);
  EXPECT_TRUE(ledger.Reserve(10).ok());
}

QueuedJob Queued(const std::string& name, int priority, const std::string& model = "m") {
  QueuedJob job;
  job.name = name;
  job.model = model;
  job.priority = priority;
  return job;
}

TEST(RequestQueue, PopsByPriorityThenAge) {
  RequestQueue queue;
  queue.Push(Queued("a", 4));
  queue.Push(Queued("b", 9));
  queue.Push(Queued("c", 4));
  queue.Push(Queued("d", 9, "other"));
  std::vector<std::string> places;
  queue.ForEach([&places](const QueuedJob& job, int position) {
    places.push_back(job.name + std::to_string(position));
  });
  EXPECT_THAT(places, ElementsAre("b1", "d1", "a2", "c3"));
  EXPECT_EQ("b", queue.Pop("m")->name);
  EXPECT_EQ("a", queue.Pop("m")->name);
  EXPECT_EQ("c", queue.Pop("m")->name);
  EXPECT_EQ(std::nullopt, queue.Pop("m"));
  EXPECT_EQ(std::nullopt, queue.Remove("a"));
  EXPECT_EQ("other", queue.Remove("d")->model);
  EXPECT_EQ(0, queue.size());
}

TEST(RequestQueue, KnowsWhoIsLate) {
  RequestQueue queue;
  const std::chrono::steady_clock::time_point now(seconds(100));
  QueuedJob late = Queued("late", 4), later = Queued("later", 4);
  late.deadline = now;
  later.deadline = now + milliseconds(1);
  queue.Push(late);
  queue.Push(later);
  queue.Push(Queued("never", 4));
  EXPECT_THAT(queue.PastDeadline(now), ElementsAre("late"));
}

v1::GenerateRequest SomeRequest() {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_steps(5);
  (*request.mutable_labels())["a"] = "b";
  (*request.mutable_labels())["c"] = "d";
  return request;
}

TEST(RequestHash, IsStableAndSeesEveryField) {
  const std::string hash = RequestHash(SomeRequest());
  EXPECT_EQ(64, hash.size());
  v1::GenerateRequest same;  // labels in another order
  (*same.mutable_labels())["c"] = "d";
  (*same.mutable_labels())["a"] = "b";
  same.set_steps(5);
  same.set_prompt("p");
  EXPECT_EQ(hash, RequestHash(same));
  const std::vector<std::function<void(v1::GenerateRequest&)>> changes = {
      [](auto& r) { r.set_prompt("q"); },
      [](auto& r) { r.set_steps(6); },
      [](auto& r) { r.set_negative_prompt("p"); },
      [](auto& r) { r.set_seed(0); },
      [](auto& r) { r.set_guidance_scale(6.0000000001); },
      [](auto& r) { r.set_scheduler(v1::SCHEDULER_DDIM); },
      [](auto& r) { r.set_dynamic_cfg(false); },
      [](auto& r) { r.mutable_deadline()->set_seconds(1); },
      [](auto& r) { (*r.mutable_labels())["a"] = "c"; },
      [](auto& r) { r.set_image("i"); },
      [](auto& r) { r.set_detach(true); },
  };
  for (size_t i = 0; i < changes.size(); ++i) {
    v1::GenerateRequest changed = SomeRequest();
    changes[i](changed);
    EXPECT_NE(hash, RequestHash(changed)) << i;
  }
}

TEST(RequestHash, IsTheOneOfEarlierBuilds) {
  v1::GenerateRequest request;
  request.set_prompt("p");
  request.set_steps(5);
  // sha256("prompt:1:p\nsteps:1:5\n")
  EXPECT_EQ("4957bc6bafb1f552481b12e8f49d93f7e412c0b4f2775d2de2670bb89044083f",
            RequestHash(request));
}

}  // namespace
}  // namespace cogwheel
