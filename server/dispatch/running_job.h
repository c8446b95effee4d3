#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>

#include "server/dispatch/job_end.h"
#include "server/dispatch/job_pace.h"
#include "server/job/job.h"
#include "server/job/result_store.h"
#include "server/job/run.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/queued_job.h"

namespace cogwheel {

class WorkerGroup;

// Where an attempt is. Only forward: each has the effect that it waits for.
enum class AttemptPhase {
  kClaiming,    // the store makes it RUNNING
  kPreparing,   // room for its result is set aside, its picture read
  kRunning,     // on its group
  kCommitting,  // its result is made durable
  kEnding,      // the store takes its end, or puts the job back into the queue
};

// One attempt of a job, from the moment that it leaves the queue until the store has its end: the
// job as it was claimed, the result that arrives, why it is to end, and its pace. Decides how it
// ends and tells nobody. Owned by the dispatcher's thread.
class RunningJob : public std::enable_shared_from_this<RunningJob> {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // `queued` is what left the queue.
  RunningJob(QueuedJob queued, WorkerGroup& group, Time now);

  AttemptPhase phase() const { return phase_; }
  void Enter(AttemptPhase phase);
  // The attempt is over.
  void End(const AttemptEnd& end);
  // True once it is over and the job with it: it will not wait again.
  bool job_ends() const { return job_ends_; }
  // Null once the group is free of it, or lost.
  WorkerGroup* group() const { return group_; }
  // Enters kRunning.
  void Run(Time now);
  void LeaveGroup(Time now);
  // That it ran on the group, times the group's ranks; 0 until it has left.
  double gpu_seconds() const { return gpu_seconds_; }

  void OnClaimed(Job job);
  const Job& job() const { return job_; }
  // What goes back into the queue if the attempt is lost.
  const QueuedJob& queued() const { return queued_; }
  void UseWriter(std::shared_ptr<ResultWriter> writer) { writer_ = std::move(writer); }
  ResultWriter& writer() const { return *writer_; }
  double SecondsSinceStart(Time now) const;

  // A caller wants it to end. False when one did before.
  bool Cancel(Time now);
  // True once, when its deadline has passed.
  bool Expire(Time now);
  // An operator wants it to fail, or to run again elsewhere.
  void Fail(const absl::Status& why) { failed_ = why; }
  void Requeue() { requeued_ = true; }
  // Somebody wants the attempt to end.
  bool unwanted() const { return requeued_ || RequestedEnd().has_value(); }
  // nullopt when nobody did.
  std::optional<double> SecondsSinceCancel(Time now) const;
  // Its result cannot be taken. False when that was known.
  bool FailResult(const absl::Status& why);
  bool result_failed() const { return !result_error_.ok(); }
  // What its earlier loss was, heard after it.
  void Explain(const absl::Status& why) { explained_ = why; }
  const absl::Status& explained() const { return explained_; }

  // The ranks have agreed to it. Warnings that the job has from an earlier attempt stay.
  // known: what such jobs took on the group before.
  void OnStarted(const RunStart& start, const std::optional<JobCosts>& known);
  void OnProgress(const RunProgress& progress, Time now);
  // The latest; nullopt before the first.
  const std::optional<RunProgress>& progress() const { return progress_; }
  JobPace& pace() { return pace_; }
  const JobPace& pace() const { return pace_; }
  // True when its watchers should hear again how far it is, though nothing has happened.
  bool TellAgain(Time now);

  // How it ends once its group has said `outcome`; nullopt: by the commit of its result.
  std::optional<AttemptEnd> EndWhenFinished(const RunOutcome& outcome) const;
  AttemptEnd EndWhenCommitted(const absl::Status& committed, const RunOutcome& outcome) const;
  AttemptEnd EndWhenRefused(const absl::Status& why) const;
  // By an operator's Requeue.
  AttemptEnd EndWhenRequeued() const;
  // The one place that decides whether a job runs again.
  AttemptEnd EndWhenLost(const GroupLoss& loss) const;
  // By an effect of the frontend's own: its store, or a file of the job.
  AttemptEnd EndWhenFailed(const absl::Status& why) const;

 private:
  std::optional<JobEnd> RequestedEnd() const;

  AttemptPhase phase_ = AttemptPhase::kClaiming;
  Job job_;
  QueuedJob queued_;
  WorkerGroup* group_;
  std::shared_ptr<ResultWriter> writer_;
  absl::Status result_error_;
  absl::Status explained_;
  bool job_ends_ = false;
  std::optional<Time> cancelled_at_;  // by a caller
  bool expired_ = false;              // by its deadline
  absl::Status failed_;               // by an operator
  bool requeued_ = false;             // by an operator
  Time started_{};
  std::optional<Time> run_;  // since then it runs
  int ranks_ = 0;            // of the group by then
  double gpu_seconds_ = 0;
  JobPace pace_;
  std::optional<RunProgress> progress_;
  Time told_{};  // how far it is
};

}  // namespace cogwheel
