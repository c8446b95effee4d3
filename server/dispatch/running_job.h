#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "server/dispatch/job_end.h"
#include "server/dispatch/job_pace.h"
#include "server/job/job.h"
#include "server/job/result_store.h"
#include "server/job/run.h"
#include "server/schedule/cost_model.h"
#include "server/schedule/queued_job.h"

namespace cogwheel {

// One attempt of a job on a group: the job as it was claimed, the result that arrives, why it is to
// end, and its pace. Decides how it ends and tells nobody. Owned by the dispatcher's thread.
class RunningJob {
 public:
  using Time = std::chrono::steady_clock::time_point;
  // `queued` is what left the queue, `now` the start.
  RunningJob(Job job, QueuedJob queued, std::unique_ptr<ResultWriter> writer, Time now);

  const Job& job() const { return job_; }  // without its image
  // What goes back into the queue if the attempt is lost.
  const QueuedJob& queued() const { return queued_; }
  double SecondsSinceStart(Time now) const;

  // A caller wants it to end. False when one did before.
  bool Cancel(Time now);
  // True once, when its deadline has passed.
  bool Expire(Time now);
  // nullopt when nobody did.
  std::optional<double> SecondsSinceCancel(Time now) const;

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

  // The next piece of the result. The first error stays: the job will fail with it.
  absl::Status Append(int64_t offset, std::string_view data);
  bool result_failed() const { return !result_error_.ok(); }
  std::shared_ptr<const ResultReader> result() const { return writer_->reader(); }

  // How it ends after what its group said. The first commits the result.
  JobEnd EndWhenFinished(const RunOutcome& outcome);
  JobEnd EndWhenRefused(const absl::Status& why) const;
  // nullopt: it is to run again. The one place that decides it.
  std::optional<JobEnd> EndWhenLost(const GroupLoss& loss) const;

 private:
  JobEnd EndOf(const RunOutcome& outcome);
  std::optional<JobEnd> RequestedEnd() const;

  Job job_;
  QueuedJob queued_;
  std::unique_ptr<ResultWriter> writer_;
  absl::Status result_error_;         // the frontend's own, with the result
  std::optional<Time> cancelled_at_;  // by a caller
  bool expired_ = false;              // by its deadline
  Time started_{};
  JobPace pace_;
  std::optional<RunProgress> progress_;
  Time told_{};  // how far it is
};

}  // namespace cogwheel
