#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/status.h>

#include "server/job/needs.h"
#include "server/job/result_store.h"
#include "server/job/run.h"

namespace cogwheel {

class WorkerGroup;

// What groups tell the dispatcher. Called on its thread.
class WorkerGroupObserver {
 public:
  virtual ~WorkerGroupObserver() = default;
  // It can take a job: it has formed, or has finished or dropped one.
  virtual void OnIdle(WorkerGroup& group) = 0;
  // All ranks have agreed to the job; it runs.
  virtual void OnStarted(WorkerGroup& group, const RunStart& start) = 0;
  // A rank has refused the job; the group lives on. OnIdle follows.
  virtual void OnRefused(WorkerGroup& group, const absl::Status& why) = 0;
  virtual void OnProgress(WorkerGroup& group, const RunProgress& progress) = 0;
  virtual void OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) = 0;
  virtual void OnResultPiece(WorkerGroup& group, ResultPiece piece) = 0;
  // The job has ended on all ranks. OnIdle follows.
  virtual void OnFinished(WorkerGroup& group, const RunOutcome& outcome) = 0;
  // The epoch has ended, with the job if one ran.
  virtual void OnLost(WorkerGroup& group, const GroupLoss& loss) = 0;
  // Heard only after OnLost: what the job that was lost then is to fail with, if it waits again.
  virtual void OnLossExplained(const std::string& job, const absl::Status& why) = 0;
};

// The ranks that serve one job at a time, as the dispatcher sees them. Owned by its thread.
class WorkerGroup {
 public:
  virtual ~WorkerGroup() = default;
  virtual const std::string& name() const = 0;
  virtual std::string model() const = 0;         // "" while it has not formed
  virtual std::string model_digest() const = 0;  // of its checkpoint; "" while that is not known
  virtual Capabilities capabilities() const = 0;
  virtual int64_t epoch() const = 0;  // 0 = never formed
  // What its speed depends on, in words: under this its jobs' costs are learnt.
  virtual std::string setup() const = 0;
  virtual int ranks() const = 0;  // that it has now

  // Only while idle. OnRefused or OnStarted follows, or OnLost.
  virtual void Run(const AttemptOrder& order) = 0;
  // Asks the ranks to give up the job; OnFinished follows with kCancelled, or its result if that
  // was ready first.
  virtual void Cancel() = 0;
};

}  // namespace cogwheel
