// Many callers against one dispatcher: for the thread sanitizer, and for what must hold at the end.
#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "base/mutex.h"
#include "base/sha256.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/intake.h"
#include "tests/support/blocking_store.h"
#include "tests/support/memory_input_rows.h"
#include "tests/support/memory_inputs.h"
#include "tests/support/memory_job_store.h"
#include "tests/support/memory_results.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

constexpr int kCallers = 4, kJobsEach = 25;

// Ends every job on the loop's next turns: with a result, or cancelled when it was asked to.
class QuickGroup final : public WorkerGroup {
 public:
  QuickGroup(EventLoop& loop, Dispatcher& dispatcher) : loop_(loop), dispatcher_(dispatcher) {
    loop_.Post([this] { dispatcher_.OnIdle(*this); });
  }
  const std::string& name() const override { return name_; }
  std::string model() const override { return "tiny"; }
  std::string model_digest() const override { return "d1"; }
  Capabilities capabilities() const override { return {}; }
  int64_t epoch() const override { return 1; }
  std::string setup() const override { return name_; }
  int ranks() const override { return 1; }
  void Run(const AttemptOrder& order) override {
    cancelled_ = false;
    job_ = order.job;
    loop_.Post([this] {
      dispatcher_.OnStarted(*this, {});
      dispatcher_.OnResultPiece(*this, {0, job_, nullptr});
      loop_.Post([this] { End(); });
    });
  }
  void Cancel() override { cancelled_ = true; }

 private:
  void End() {
    RunOutcome outcome;
    if (cancelled_) outcome.code = absl::StatusCode::kCancelled;
    outcome.result = {static_cast<int64_t>(job_.size()), Sha256Hex(job_), "video/mp4"};
    dispatcher_.OnFinished(*this, outcome);
    dispatcher_.OnIdle(*this);
  }

  EventLoop& loop_;
  Dispatcher& dispatcher_;
  const std::string name_ = "g";
  std::string job_;
  bool cancelled_ = false;
};

// Waits for events of one job.
class Waiter final : public EventWatcher {
 public:
  void OnEvents() override {
    MutexLock lock(mutex_);
    ++count_;
    changed_.NotifyAll();
  }
  void WaitPast(int seen) {
    MutexLock lock(mutex_);
    changed_.WaitFor(mutex_, std::chrono::seconds(10), [&] { return count_ > seen; });
  }
  int count() {
    MutexLock lock(mutex_);
    return count_;
  }

 private:
  Mutex mutex_;
  CondVar changed_;
  int count_ COGWHEEL_GUARDED_BY(mutex_) = 0;
};

TEST(DispatcherThreads, EveryJobOfManyCallersEndsOnce) {
  const SystemClock clock;
  ServerMetrics metrics(MakeRegistry());
  EventLoop loop(clock);
  MemoryJobStore store;
  MemoryResults results;
  EventLog events({.events = 64, .bytes = 1 << 20, .finished_jobs = kCallers * kJobsEach});
  AdmissionLedger ledger({.jobs = kCallers * kJobsEach, .bytes = 1 << 20, .seconds = 86'400});
  CostModel costs;
  const StandingOrders orders;
  MemoryInputs inputs;
  MemoryInputRows input_rows;
  StoreHealth health(clock, metrics);
  Dispatcher dispatcher(
      {loop, store, results, inputs, health, events, ledger, costs, orders, clock, metrics});
  Intake intake({store, inputs, input_rows, [&store] { return store.Models(); }, ledger, costs,
                 clock, [] { return 1U; }});
  store.Watch([&dispatcher](const Job& job) { dispatcher.Accept(job); });
  ASSERT_TRUE(BlockingStore(store).NewEpoch(TestModel("tiny")).ok());
  loop.AddTick([&dispatcher] { dispatcher.Tick(); });
  loop.Start();
  QuickGroup group(loop, dispatcher);
  std::atomic<int> ends{0};

  const auto follow = [&](const std::string& job) {
    const auto waiter = std::make_shared<Waiter>();
    events.Watch(job, waiter);
    int64_t after = 0;
    for (int turn = 0; turn < 1000; ++turn) {
      const int seen = waiter->count();
      const EventLog::Next next = events.ReadAfter(job, after, /*include_video=*/true);
      if (next.found == EventLog::Found::kEnd) break;
      if (next.found == EventLog::Found::kNothing) waiter->WaitPast(seen);
      if (next.found != EventLog::Found::kEvent) continue;
      EXPECT_GT(next.sequence, after);
      after = next.sequence;
      if (next.event->has_succeeded() || next.event->has_cancelled()) ++ends;
    }
    events.Unwatch(job, waiter.get());
  };
  std::vector<std::thread> callers;
  for (int caller = 0; caller < kCallers; ++caller) {
    callers.emplace_back([&, caller] {
      for (int i = 0; i < kJobsEach; ++i) {
        v1::GenerateRequest request;
        request.set_prompt("p");
        std::string name;
        intake.Submit(request, "default", /*held=*/false,
                      [&name](const auto& created) { name = created.value().job.name; });
        if ((caller + i) % 3 == 0) dispatcher.Cancel("default", name, [](const auto&) {});
        follow(name);
      }
    });
  }
  for (std::thread& caller : callers) caller.join();
  loop.Stop();
  EXPECT_EQ(kCallers * kJobsEach, ends);
  EXPECT_EQ(0, ledger.load().jobs);
  EXPECT_EQ(0, ledger.load().bytes);
  const JobPage page =
      store.List({.tenant = "default", .states = {}, .before_name = "", .limit = 1000}).value();
  EXPECT_EQ(kCallers * kJobsEach, page.jobs.size());
  for (const Job& job : page.jobs) EXPECT_TRUE(IsTerminal(job.state)) << job.name;
}

}  // namespace
}  // namespace cogwheel
