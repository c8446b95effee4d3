#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/job_recorder.h"
#include "server/dispatch/running_job.h"
#include "server/dispatch/store_health.h"
#include "server/dispatch/waiting_jobs.h"
#include "server/dispatch/worker_group.h"
#include "server/events/job_announcer.h"
#include "server/job/input_store.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/admission.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/load_report.h"
#include "server/schedule/placement.h"
#include "server/schedule/queued_job.h"
#include "server/schedule/standing_orders.h"
#include "server/schedule/tenant_rules.h"

namespace cogwheel {

// The one that moves jobs: it alone changes a job's state and tells groups what to do, on the event
// loop's thread. It decides and never waits: the stores answer by tasks of the loop, and a job is
// meanwhile in a phase of its attempt (AttemptPhase). The first block of methods may be called from
// any thread.
class Dispatcher final : public WorkerGroupObserver {
 public:
  struct Parts {
    EventLoop& loop;
    JobStore& store;
    ResultStore& results;
    InputStore& inputs;
    StoreHealth& health;
    EventLog& events;
    AdmissionLedger& ledger;
    CostModel& costs;
    const StandingOrders& orders;
    const Clock& clock;
    ServerMetrics& metrics;
    std::function<void()> ended = [] {};  // a job has
    WaitingJobs::NeedsOf needs_of = NeedsOf;
  };
  explicit Dispatcher(const Parts& parts);

  // Takes over the unfinished jobs of a former process. Before the loop starts.
  void Recover(const std::vector<Job>& jobs);
  // A job that the store holds and whose place in the ledger is reserved.
  void Accept(const Job& job);
  // A queued job ends at once, a running one soon; `done` gets the job as it then stands.
  // RESOURCE_EXHAUSTED when the dispatcher is behind.
  void Cancel(const std::string& tenant, const std::string& name, Answer<Job> done);
  // An operator's: a running job is taken from its group and queued again, uncharged. `done` once
  // that is asked. FAILED_PRECONDITION (NOT_RUNNING).
  void Requeue(const std::string& name, Done done);
  // An operator's: a queued job fails with `why` at once, a running one soon. `done` once it has,
  // or its group is asked, or the store takes no writes now. FAILED_PRECONDITION (FINISHED).
  void Fail(const std::string& name, const absl::Status& why, Done done);
  // Of tenants in the queue, from now on. On the loop's thread.
  void SetWeights(std::map<std::string, double> weights) {
    waiting_.SetWeights(std::move(weights));
  }
  // Which jobs are held back, from now on. On the loop's thread.
  void SetTenantLimits(std::map<std::string, TenantRules::Limits> limits, int window_hours) {
    rules_.SetLimits(std::move(limits), window_hours);
  }
  void SetUsed(std::map<std::string, double> gpu_seconds) {
    rules_.SetUsed(std::move(gpu_seconds));
  }
  // No job is started any more.
  void Drain();
  // Running jobs are given up: they go back to the queue. `done` once the store has them there.
  void Abandon(Done done);
  // Attempts whose end is still to come.
  int unfinished() const { return unfinished_; }
  // That the largest result among the waiting jobs takes at most.
  int64_t largest_result() const { return largest_result_; }

  void Tick();
  void OnIdle(WorkerGroup& group) override;
  void OnStarted(WorkerGroup& group, const RunStart& start) override;
  void OnRefused(WorkerGroup& group, const absl::Status& why) override;
  void OnProgress(WorkerGroup& group, const RunProgress& progress) override;
  void OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) override;
  void OnResultPiece(WorkerGroup& group, ResultPiece piece) override;
  void OnFinished(WorkerGroup& group, const RunOutcome& outcome) override;
  void OnLost(WorkerGroup& group, const GroupLoss& loss) override;
  void OnLossExplained(const std::string& job, const absl::Status& why) override;

 private:
  using Attempt = std::shared_ptr<RunningJob>;
  // What takes an answer that an attempt waits for, on the loop's thread, unless the attempt has
  // ended meanwhile.
  template <typename Result>
  std::function<void(Result)> Later(RunningJob& running,
                                    std::function<void(RunningJob&, Result)> then) {
    return parts_.loop.Later<Result>(
        [attempt = running.weak_from_this(), then = std::move(then)](Result result) {
          if (const Attempt alive = attempt.lock()) then(*alive, std::move(result));
        });
  }

  Placement PlacementNow() const;
  void Schedule();

  // dispatcher_starts.cc
  void StartOn(WorkerGroup& group, const std::string& name);
  void OnUnclaimed(const RunningJob& running, const absl::Status& why);
  void OnClaimed(RunningJob& running, absl::StatusOr<Job> claimed);
  void OnRoom(RunningJob& running, absl::StatusOr<std::shared_ptr<ResultWriter>> writer);
  void OnInput(RunningJob& running, absl::StatusOr<InputStore::Bytes> image);
  void OnUnprepared(RunningJob& running, const char* what, const absl::Status& why);
  void GiveGroupBack(RunningJob& running);
  bool EndIfUnwanted(RunningJob& running);

  // dispatcher_operate.cc
  void Ask(std::function<void()> task, const Done& done);
  absl::Status RequeueNow(const std::string& name);
  absl::Status FailAttempt(const std::string& name, const absl::Status& why);

  // dispatcher_ends.cc
  void TellGroup(const RunningJob& running);
  void OnCancelAsked(const Answer<Job>& done, absl::StatusOr<Job> asked);
  void EndQueued(
      const QueuedJob& queued, const JobEnd& end, JobRecorder::Told told = [](const auto&) {},
      std::function<void()> owed = {});
  void Finish(RunningJob& running, const AttemptEnd& end);
  void OnRequeued(const RunningJob& running, const absl::StatusOr<Job>& job);
  void Forget(const RunningJob& running);
  void TellAbandoned();
  static absl::Status ShutDown();
  void Commit(RunningJob& running, const RunOutcome& outcome);
  void OnCommitted(RunningJob& running, const RunOutcome& outcome, const absl::Status& committed);
  void OnWritten(RunningJob& running, int64_t offset, int64_t bytes, const absl::Status& written);
  void CommitOwed();
  void Expire();
  void Learn(const RunningJob& running, const WorkerGroup& group);
  void TellProgress(RunningJob& running);
  // Null when the group has none.
  RunningJob* RunningOn(const WorkerGroup& group);
  // The same; the group is free of it from now on.
  RunningJob* TakeFrom(const WorkerGroup& group);

  const Parts parts_;
  JobAnnouncer announcer_;
  TenantRules rules_;
  LoadReport load_;
  JobRecorder recorder_;
  WaitingJobs waiting_;
  std::map<std::string, Attempt> attempts_;  // by job
  std::vector<WorkerGroup*> idle_;
  std::vector<std::function<void()>> commits_owed_;  // that the store could not take
  std::chrono::steady_clock::time_point commits_tried_{};
  bool draining_ = false;
  Done abandoned_;  // set while somebody waits for the attempts to end
  std::atomic<int> unfinished_{0};
  std::atomic<int64_t> largest_result_{0};
};

}  // namespace cogwheel
