#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/sha256.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/intake.h"
#include "tests/support/blocking_store.h"
#include "tests/support/fake_clock.h"
#include "tests/support/faulty_job_store.h"
#include "tests/support/memory_input_rows.h"
#include "tests/support/memory_inputs.h"
#include "tests/support/memory_job_store.h"
#include "tests/support/memory_results.h"
#include "tests/support/puppet_worker_group.h"
#include "tests/support/test_model.h"

namespace cogwheel {

class DispatcherTest : public testing::Test {
 protected:
  DispatcherTest() {
    loop_.AddTick([this] { dispatcher_.Tick(); });
    store_.Watch([this](const Job& job) { dispatcher_.Accept(job); });
    EXPECT_TRUE(BlockingStore(store_).NewEpoch(TestModel("tiny")).ok());
    EXPECT_TRUE(BlockingStore(store_).NewEpoch(TestModel("other")).ok());
    group_.Form(/*epoch=*/7);
    loop_.RunPending();
  }

  absl::StatusOr<CreatedJob> Submit(const v1::GenerateRequest& request) {
    absl::StatusOr<CreatedJob> result = absl::UnknownError("not called");
    intake_.Submit(request, "default", /*held=*/false,
                   [&result](auto created) { result = std::move(created); });
    loop_.RunPending();
    return result;
  }
  // The name of an accepted job.
  std::string Accepted(int priority = 4, const std::string& model = "tiny") {
    v1::GenerateRequest request;
    request.set_prompt("p");
    request.set_model(model);
    request.set_priority(priority);
    return Submit(request).value().job.name;
  }
  std::string WithDeadline(int64_t deadline_s) {
    v1::GenerateRequest request;
    request.set_prompt("p");
    request.mutable_deadline()->set_seconds(deadline_s);
    return Submit(request).value().job.name;
  }
  absl::StatusOr<Job> Cancel(const std::string& name) {
    absl::StatusOr<Job> result = absl::UnknownError("not called");
    dispatcher_.Cancel("default", name, [&result](auto job) { result = std::move(job); });
    loop_.RunPending();
    return result;
  }
  // Lets all effects take place, and no time pass.
  void Settle() { loop_.RunTasks(); }
  std::function<void()> Settler() {
    return [this] { Settle(); };
  }
  Job Get(const std::string& name) { return store_.Get("default", name).value(); }
  void Pass(std::chrono::milliseconds time) {
    clock_.Advance(time);
    loop_.RunPending();
    Settle();
  }
  // All events that the log holds.
  std::vector<v1::JobEvent> Events(const std::string& name) {
    std::vector<v1::JobEvent> events;
    EventLog::Next next = events_.ReadAfter(name, 0, /*include_video=*/true);
    for (; next.found == EventLog::Found::kEvent;
         next = events_.ReadAfter(name, next.sequence, /*include_video=*/true)) {
      events.push_back(*next.event);
    }
    return events;
  }
  std::vector<std::string> Kinds(const std::string& name) {
    std::vector<std::string> kinds;
    for (const v1::JobEvent& event : Events(name)) {
      kinds.push_back(event.GetDescriptor()->FindFieldByNumber(event.event_case())->name());
    }
    return kinds;
  }
  // As it was last told.
  std::string WaitingFor(const std::string& name) {
    std::string text;
    for (const v1::JobEvent& event : Events(name)) {
      if (event.has_queued()) text = event.queued().waiting_for();
    }
    return text;
  }
  static RunOutcome Done(const std::string& bytes) {
    RunOutcome outcome;
    outcome.result = {static_cast<int64_t>(bytes.size()), Sha256Hex(bytes), "video/mp4"};
    outcome.stage_seconds = {1, 2, 3, 4};
    return outcome;
  }
  static RunOutcome Cancelled() {
    RunOutcome outcome;
    outcome.code = absl::StatusCode::kCancelled;
    return outcome;
  }

  FakeClock clock_;
  const std::shared_ptr<prometheus::Registry> registry_ = MakeRegistry();
  ServerMetrics metrics_{registry_};
  EventLoop loop_{clock_};
  MemoryJobStore store_;
  FaultyJobStore faulty_{store_};
  bool faulted_ = false;
  MemoryResults results_;
  MemoryInputs inputs_;
  MemoryInputRows input_rows_;
  StoreHealth health_{clock_, metrics_};
  int ended_ = 0;
  EventLog events_;
  AdmissionLedger ledger_{{.jobs = 3, .bytes = 1000, .seconds = 86'400}};
  CostModel costs_;
  StandingOrders orders_;
  std::function<Capabilities(const v1::GenerateRequest&)> needs_of_ = NeedsOf;
  Dispatcher dispatcher_{{loop_, faulty_, results_, inputs_, health_, events_, ledger_, costs_,
                          orders_, clock_, metrics_, [this] { ++ended_; },
                          [this](const auto& request) { return needs_of_(request); }}};
  Intake intake_{{faulty_, inputs_, input_rows_, [this] { return store_.Models(); }, ledger_,
                  costs_, clock_, [] { return 11U; }}};
  PuppetWorkerGroup group_{"g", "tiny", dispatcher_, Settler()};
};

}  // namespace cogwheel
