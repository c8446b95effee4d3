#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/job_recorder.h"
#include "server/dispatch/running_job.h"
#include "server/dispatch/waiting_jobs.h"
#include "server/dispatch/worker_group.h"
#include "server/events/job_announcer.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/admission.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/load_report.h"
#include "server/schedule/placement.h"
#include "server/schedule/queued_job.h"

namespace cogwheel {

// The one that moves jobs: it alone changes a job's state and tells groups what to do, on the event
// loop's thread. The first block of methods may be called from any thread.
class Dispatcher final : public WorkerGroupObserver {
 public:
  struct Parts {
    EventLoop& loop;
    JobStore& store;
    ResultStore& results;
    EventLog& events;
    AdmissionLedger& ledger;
    CostModel& costs;
    const Clock& clock;
    ServerMetrics& metrics;
    KeepPolicy keep{};
    WaitingJobs::NeedsOf needs_of = NeedsOf;
  };
  explicit Dispatcher(const Parts& parts);

  // Takes over the unfinished jobs of a former process. Before the loop starts.
  void Recover(const std::vector<Job>& jobs);
  // A job that the store holds and whose place in the ledger is reserved.
  void Accept(const Job& job);
  using JobCallback = std::function<void(absl::StatusOr<Job>)>;
  // A queued job ends at once, a running one soon; `done` gets the job as it then stands.
  // RESOURCE_EXHAUSTED when the dispatcher is behind.
  void Cancel(const std::string& tenant, const std::string& name, JobCallback done);
  // NOT_FOUND, FAILED_PRECONDITION while it is not finished. `done` gets the job as it was.
  void Delete(const std::string& tenant, const std::string& name, JobCallback done);
  // Of tenants in the queue, from now on. On the loop's thread.
  void SetWeights(std::map<std::string, double> weights) {
    waiting_.SetWeights(std::move(weights));
  }
  // No job is started any more.
  void Drain();
  // Running jobs are given up: they go back to the queue.
  void Abandon();
  int running_jobs() const { return running_jobs_; }

  void Tick();
  void OnIdle(WorkerGroup& group) override;
  void OnStarted(WorkerGroup& group, const RunStart& start) override;
  void OnRefused(WorkerGroup& group, const absl::Status& why) override;
  void OnProgress(WorkerGroup& group, const RunProgress& progress) override;
  void OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) override;
  void OnResultChunk(WorkerGroup& group, int64_t offset, std::string_view data) override;
  void OnFinished(WorkerGroup& group, const RunOutcome& outcome) override;
  void OnLost(WorkerGroup& group, const GroupLoss& loss) override;
  void OnLossExplained(const std::string& job, const absl::Status& why) override;

 private:
  void Ask(std::function<absl::StatusOr<Job>()> question, JobCallback done);
  absl::StatusOr<Job> CancelNow(const std::string& tenant, const std::string& name);
  Placement PlacementNow() const;
  void Schedule();
  bool StartOn(WorkerGroup& group, const std::string& name);
  void RunOn(WorkerGroup& group, const QueuedJob& queued, const Job& job);
  void Expire();
  void Learn(const RunningJob& running, const WorkerGroup& group);
  void TellProgress(RunningJob& running);
  void LoseAttempt(const RunningJob& running, const GroupLoss& loss);
  std::optional<RunningJob> TakeRunning(WorkerGroup& group);
  RunningJob* FindRunning(WorkerGroup& group);

  const Parts parts_;
  JobAnnouncer announcer_;
  LoadReport load_;
  JobRecorder recorder_;
  WaitingJobs waiting_;
  std::map<WorkerGroup*, RunningJob> running_;
  std::vector<WorkerGroup*> idle_;
  bool draining_ = false;
  std::atomic<int> running_jobs_{0};
};

}  // namespace cogwheel
