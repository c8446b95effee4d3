#include "server/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/failpoint.h"
#include "proto/contract/log.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/queue/proto_time.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxPreviewBytes = 1024 * 1024;
absl::Status Behind() {
  return MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                   "the server has too many requests at hand");
}

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

}  // namespace

Dispatcher::Dispatcher(const Parts& parts) : parts_(parts), announcer_(parts.events, parts.clock) {}

void Dispatcher::Accept(const Job& job) {
  parts_.events.Open(job.name);
  parts_.loop.Post([this, job] { Enqueue(job); });
}

void Dispatcher::Cancel(const std::string& tenant, const std::string& name, JobCallback done) {
  const auto shared = std::make_shared<const JobCallback>(std::move(done));
  const bool posted =
      parts_.loop.TryPost([this, tenant, name, shared] { CancelNow(tenant, name, *shared); });
  if (!posted) (*shared)(Behind());
}

void Dispatcher::Delete(const std::string& tenant, const std::string& name, JobCallback done) {
  const auto shared = std::make_shared<const JobCallback>(std::move(done));
  const bool posted =
      parts_.loop.TryPost([this, tenant, name, shared] { DeleteNow(tenant, name, *shared); });
  if (!posted) (*shared)(Behind());
}

void Dispatcher::Drain() {
  parts_.loop.Post([this] { draining_ = true; });
}

void Dispatcher::Abandon() {
  parts_.loop.Post([this] {
    const absl::Status why =
        MakeError(absl::StatusCode::kUnavailable, "SHUTDOWN", "the server was shut down");
    for (auto& [group, running] : running_) {
      group->Cancel();
      LoseAttempt(running, why);
    }
    running_.clear();
    running_jobs_ = 0;
  });
}

void Dispatcher::Enqueue(const Job& job) {
  QueuedJob queued;
  queued.name = job.name;
  queued.model = job.request.model();
  queued.attempt = job.attempt;
  queued.priority = job.request.priority();
  queued.bytes = QueuedBytes(job);
  if (job.request.has_deadline()) {
    queued.deadline = parts_.clock.Now() + ToNanoseconds(job.request.deadline());
  }
  queue_.Push(std::move(queued));
  Log(LogLevel::kInfo, "job queued", {{"job", job.name}, {"model", job.request.model()}});
  AnnounceQueue();
  Schedule();
}

void Dispatcher::AnnounceQueue() {
  announcer_.Queue(queue_, [this](const std::string& model) { return pace_.JobSeconds(model); });
}

void Dispatcher::Schedule() {
  bool moved = false;
  for (size_t i = 0; i < idle_.size() && !draining_;) {
    WorkerGroup* group = idle_[i];
    if (!StartNext(*group)) {
      ++i;
      continue;
    }
    moved = true;
    // A group may fall idle again while its job starts: it stands at the end then.
    const auto place = std::find(idle_.begin(), idle_.end(), group);
    if (place != idle_.end() && FindRunning(*group) != nullptr) idle_.erase(place);
  }
  if (moved) AnnounceQueue();
}

// True when a job left the queue.
bool Dispatcher::StartNext(WorkerGroup& group) {
  std::optional<QueuedJob> queued = queue_.Pop(group.model());
  if (!queued.has_value()) return false;
  Failpoint("dispatch.before_claim");
  const absl::StatusOr<Job> job =
      parts_.store.Claim(queued->name, group.name(), group.epoch(), parts_.clock.Wall());
  Failpoint("dispatch.after_claim");
  if (job.ok()) {
    parts_.ledger.Release(queued->bytes);
    StartOn(group, *queued, *job);
    return true;
  }
  Log(LogLevel::kError, "job cannot be claimed",
      {{"job", queued->name}, {"error", std::string(job.status().message())}});
  const bool gone = absl::IsAborted(job.status()) || absl::IsNotFound(job.status());
  if (gone) {
    parts_.ledger.Release(queued->bytes);
  } else {
    queue_.Push(*std::move(queued));  // the store will come back; the next tick tries again
  }
  return gone;
}

void Dispatcher::StartOn(WorkerGroup& group, const QueuedJob& queued, const Job& job) {
  Running running;
  running.job = job;
  running.deadline = queued.deadline;
  running.started = running.stage_started = parts_.clock.Now();
  parts_.metrics.queue_wait_seconds.Observe(Seconds(parts_.clock.Wall() - job.create_time),
                                            {job.request.model()});
  if (job.cancel_requested) return Finish(job, CancelledEnd());
  absl::StatusOr<std::unique_ptr<ResultWriter>> writer =
      parts_.results.Begin(job.name, job.epoch, job.attempt);
  if (!writer.ok()) return Finish(job, FailedEnd(writer.status()));
  running.writer = *std::move(writer);
  running_.insert_or_assign(&group, std::move(running));
  running_jobs_ = static_cast<int>(running_.size());
  Log(LogLevel::kInfo, "job dispatched",
      {{"job", job.name},
       {"attempt", absl::StrCat(job.attempt)},
       {"group", group.name()},
       {"epoch", absl::StrCat(job.epoch)}});
  Failpoint("dispatch.before_run");
  group.Run({job.name, job.attempt, job.request, job.image});
  Failpoint("dispatch.after_run");
}

Dispatcher::Running* Dispatcher::FindRunning(WorkerGroup& group) {
  const auto found = running_.find(&group);
  return found == running_.end() ? nullptr : &found->second;
}

std::optional<Dispatcher::Running> Dispatcher::TakeRunning(WorkerGroup& group) {
  const auto found = running_.find(&group);
  if (found == running_.end()) return std::nullopt;
  std::optional<Running> running = std::move(found->second);
  running_.erase(found);
  running_jobs_ = static_cast<int>(running_.size());
  return running;
}

void Dispatcher::OnIdle(WorkerGroup& group) {
  if (std::find(idle_.begin(), idle_.end(), &group) == idle_.end()) idle_.push_back(&group);
  // Not from inside the group's own call: it may still have something to say.
  parts_.loop.Post([this] { Schedule(); });
}

void Dispatcher::OnStarted(WorkerGroup& group) {
  Running* running = FindRunning(group);
  if (running == nullptr) return;
  running->stage_started = parts_.clock.Now();
  announcer_.Started(running->job);
}

void Dispatcher::OnProgress(WorkerGroup& group, const RunProgress& progress) {
  Running* running = FindRunning(group);
  if (running == nullptr) return;
  const Time now = parts_.clock.Now();
  if (running->stage != progress.stage) {
    running->stage = progress.stage;
    running->stage_started = now;
  }
  announcer_.Progress(running->job, progress,
                      pace_.SecondsLeft(running->job.request.model(), progress,
                                        Seconds(now - running->stage_started)));
}

void Dispatcher::OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) {
  Running* running = FindRunning(group);
  if (running == nullptr || jpeg.size() > kMaxPreviewBytes) return;
  announcer_.Preview(running->job, step, steps, jpeg);
}

void Dispatcher::OnResultChunk(WorkerGroup& group, int64_t offset, std::string_view data) {
  Running* running = FindRunning(group);
  if (running == nullptr || !running->broken.ok()) return;
  running->broken = data.size() > kMaxChunkBytes
                        ? MakeError(absl::StatusCode::kInternal, "RESULT_CHUNK",
                                    absl::StrCat("a piece of the result has ", data.size(),
                                                 " bytes; the limit is ", kMaxChunkBytes))
                        : running->writer->Append(offset, data);
  if (!running->broken.ok()) return group.Cancel();
  announcer_.Chunk(running->job, offset, static_cast<int64_t>(data.size()),
                   running->writer->reader());
}

void Dispatcher::OnRefused(WorkerGroup& group, const absl::Status& why) {
  const std::optional<Running> running = TakeRunning(group);
  if (!running.has_value()) return;
  Finish(running->job, RequestedEnd(*running).value_or(FailedEnd(why)));
}

void Dispatcher::OnFinished(WorkerGroup& group, const RunOutcome& outcome) {
  std::optional<Running> running = TakeRunning(group);
  if (!running.has_value()) return;
  JobEnd end = EndOf(*running, outcome);
  end.stage_seconds = outcome.stage_seconds;
  if (end.state == JobState::kSucceeded) {
    const std::string& model = running->job.request.model();
    pace_.Learn(model, Seconds(parts_.clock.Now() - running->started), outcome.stage_seconds);
    const std::chrono::duration<double> usual(pace_.JobSeconds(model).value_or(1));
    parts_.ledger.SetJobTime(std::chrono::ceil<std::chrono::milliseconds>(usual));
  }
  Finish(running->job, end);
}

// What the job's owner or its deadline asked for, if they did.
std::optional<JobEnd> Dispatcher::RequestedEnd(const Running& running) const {
  if (running.expired) return ExpiredEnd(running.job);
  if (running.cancelled) return CancelledEnd();
  return std::nullopt;
}

JobEnd Dispatcher::EndOf(Running& running, const RunOutcome& outcome) {
  if (!running.broken.ok()) return FailedEnd(running.broken);
  if (outcome.code == absl::StatusCode::kOk) {  // a result that is there wins over a late cancel
    const absl::Status committed = running.writer->Commit(outcome.result);
    if (!committed.ok()) return FailedEnd(committed);
    return SucceededEnd(outcome);
  }
  if (outcome.code == absl::StatusCode::kCancelled) {
    return RequestedEnd(running).value_or(CancelledEnd());
  }
  return FailedEnd(MakeError(outcome.code, outcome.reason, outcome.message));
}

void Dispatcher::OnLost(WorkerGroup& group, const GroupLoss& loss) {
  std::erase(idle_, &group);
  const std::optional<Running> running = TakeRunning(group);
  if (running.has_value()) LoseAttempt(*running, loss.why);
}

// The one place that decides what becomes of a job whose attempt was lost through no fault of its
// own: it fails. With a durable store it will be queued again.
void Dispatcher::LoseAttempt(const Running& running, const absl::Status& why) {
  Finish(running.job, RequestedEnd(running).value_or(FailedEnd(why)));
}

void Dispatcher::Finish(const Job& job, const JobEnd& end) {
  FinishedJob finished;
  finished.name = job.name;
  finished.epoch = job.epoch;
  finished.attempt = job.attempt;
  finished.state = end.state;
  finished.error = end.error;
  finished.result = end.result;
  finished.stage_seconds = end.stage_seconds;
  finished.end_time = parts_.clock.Wall();
  finished.last_sequence = announcer_.EndSequence(job);
  Failpoint("dispatch.before_finish");
  const absl::StatusOr<Job> ended = parts_.store.Finish(finished);
  Failpoint("dispatch.after_finish");
  if (!ended.ok()) {
    if (absl::IsAborted(ended.status())) {
      parts_.metrics.dispatch_fenced_commits_total.Increment({job.group});
    }
    return Log(LogLevel::kError, "a job's end cannot be stored",
               {{"job", job.name}, {"error", std::string(ended.status().message())}});
  }
  announcer_.Ended(*ended);
  const std::string& model = job.request.model();
  const std::string state = JobStateName(end.state);
  Log(LogLevel::kInfo, "job ended",
      {{"job", job.name},
       {"state", state},
       {"reason", end.error.reason},
       {"error", end.error.message}});
  parts_.metrics.dispatch_jobs_finished_total.Increment({model, state});
  if (job.start_time.has_value()) {
    parts_.metrics.dispatch_job_duration_seconds.Observe(
        Seconds(finished.end_time - *job.start_time), {model, state});
  }
  Trim();
}

void Dispatcher::Trim() {
  Retention retention;
  retention.finished_jobs = parts_.max_kept_jobs;
  const absl::StatusOr<Removed> removed = parts_.store.Trim(retention);
  if (removed.ok()) Forget(*removed);
}

void Dispatcher::Forget(const Removed& removed) {
  for (const std::string& job : removed.jobs) parts_.events.Forget(job);
  for (const Artefact& orphan : removed.orphans) parts_.results.Remove(orphan);
}

void Dispatcher::CancelNow(const std::string& tenant, const std::string& name,
                           const JobCallback& done) {
  const absl::StatusOr<Job> known = parts_.store.Get(tenant, name);
  if (!known.ok() || IsTerminal(known->state)) return done(known);
  const absl::StatusOr<Job> asked = parts_.store.RequestCancel(name);
  Failpoint("dispatch.after_cancel_flag");
  if (!asked.ok()) return done(asked);
  const std::optional<QueuedJob> queued = queue_.Remove(name);
  if (queued.has_value()) {
    parts_.ledger.Release(queued->bytes);
    Finish(*asked, CancelledEnd());
    AnnounceQueue();
    return done(parts_.store.Get(tenant, name));
  }
  for (auto& [group, running] : running_) {
    if (running.job.name != name || running.cancelled) continue;
    running.cancelled = true;
    group->Cancel();
  }
  done(asked);
}

void Dispatcher::DeleteNow(const std::string& tenant, const std::string& name,
                           const JobCallback& done) {
  const absl::StatusOr<Job> known = parts_.store.Get(tenant, name);
  if (!known.ok()) return done(known);
  const absl::StatusOr<Removed> removed = parts_.store.Delete(name);
  if (!removed.ok()) return done(removed.status());
  Forget(*removed);
  done(known);
}

void Dispatcher::ExpireQueued() {
  const std::vector<std::string> late = queue_.PastDeadline(parts_.clock.Now());
  for (const std::string& name : late) {
    const std::optional<QueuedJob> queued = queue_.Remove(name);
    parts_.ledger.Release(queued->bytes);
    const absl::StatusOr<Job> job = parts_.store.RequestCancel(name);
    if (job.ok()) Finish(*job, ExpiredEnd(*job));
  }
  if (!late.empty()) AnnounceQueue();
}

void Dispatcher::ExpireRunning() {
  for (auto& [group, running] : running_) {
    const bool late = running.deadline.has_value() && *running.deadline <= parts_.clock.Now();
    if (!late || running.expired) continue;
    running.expired = true;
    group->Cancel();
  }
}

void Dispatcher::Tick() {
  ExpireQueued();
  ExpireRunning();
  Schedule();
  AnnounceQueue();
  announcer_.Tick();
  parts_.metrics.queue_jobs.Set(static_cast<double>(queue_.size()), {"queued"});
  parts_.metrics.queue_jobs.Set(static_cast<double>(running_.size()), {"running"});
  parts_.metrics.queue_bytes.Set(static_cast<double>(parts_.ledger.load().bytes));
}

}  // namespace cogwheel
