#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/job_end.h"
#include "server/dispatch/job_recorder.h"
#include "server/dispatch/worker_group.h"
#include "server/events/job_announcer.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/admission.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/load_report.h"
#include "server/schedule/placement.h"
#include "server/schedule/request_queue.h"

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
  void SetWeights(std::map<std::string, double> weights) { queue_.SetWeights(std::move(weights)); }
  // No job is started any more.
  void Drain();
  // Running jobs are given up: they go back to the queue.
  void Abandon();
  int running_jobs() const { return running_jobs_; }

  void Tick();
  void OnIdle(WorkerGroup& group) override;
  void OnStarted(WorkerGroup& group) override;
  void OnRefused(WorkerGroup& group, const absl::Status& why) override;
  void OnProgress(WorkerGroup& group, const RunProgress& progress) override;
  void OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) override;
  void OnResultChunk(WorkerGroup& group, int64_t offset, std::string_view data) override;
  void OnFinished(WorkerGroup& group, const RunOutcome& outcome) override;
  void OnLost(WorkerGroup& group, const GroupLoss& loss) override;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Running {
    Job job;
    QueuedJob place;  // that it had in the queue
    std::unique_ptr<ResultWriter> writer;
    bool cancelled = false;  // by a caller
    Time cancelled_at{};
    bool expired = false;  // by its deadline
    absl::Status broken;   // the frontend's own failure with its result
    Time started{};
    Time stage_started{};
    RunStage stage = RunStage::kTextEncode;
  };

  QueuedJob PlaceOf(const Job& job) const;
  JobCost CostOf(const Job& job, const QueuedJob& place) const;
  Placement PlaceNow() const;
  void Schedule();
  bool StartOn(WorkerGroup& group, const std::string& name);
  void RunOn(WorkerGroup& group, const QueuedJob& place, const Job& job);
  std::optional<double> SecondsLeftOf(const Running& running, const RunProgress& progress) const;
  void CancelNow(const std::string& tenant, const std::string& name, const JobCallback& done);
  void DeleteNow(const std::string& tenant, const std::string& name, const JobCallback& done);
  void ExpireQueued();
  void ExpireRunning();
  void Learn(const Running& running, const RunOutcome& outcome);
  void LoseAttempt(const Running& running, const GroupLoss& loss);
  JobEnd EndOf(Running& running, const RunOutcome& outcome);
  std::optional<JobEnd> RequestedEnd(const Running& running) const;
  std::optional<Running> TakeRunning(WorkerGroup& group);
  Running* FindRunning(WorkerGroup& group);
  void AnnounceQueue();

  const Parts parts_;
  JobAnnouncer announcer_;
  LoadReport load_;
  JobRecorder recorder_;
  RequestQueue queue_;
  std::map<WorkerGroup*, Running> running_;
  std::vector<WorkerGroup*> idle_;
  bool draining_ = false;
  std::atomic<int> running_jobs_{0};
};

}  // namespace cogwheel
