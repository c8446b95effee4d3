#include "server/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxPreviewBytes = 1024 * 1024;
constexpr int32_t kMaxCharges = 3;        // with the third a job has failed
constexpr size_t kAnnouncedAtOnce = 256;  // jobs; the places in a longer queue are told on ticks

absl::Status Behind() {
  return MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                   "the server has too many requests at hand");
}

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

Placement::Group PlacedAs(const WorkerGroup& group) { return {group.name(), group.model()}; }

}  // namespace

Dispatcher::Dispatcher(const Parts& parts)
    : parts_(parts),
      announcer_(parts.events, parts.clock),
      load_(parts.ledger, parts.metrics, parts.clock),
      recorder_({parts.store, parts.results, parts.events, announcer_, parts.clock, parts.metrics,
                 parts.keep}) {}

void Dispatcher::Accept(const Job& job) {
  parts_.events.Open(job.name);
  parts_.loop.Post([this, place = PlaceOf(job)] {
    queue_.Push(place);
    if (queue_.size() <= kAnnouncedAtOnce) AnnounceQueue();
    Schedule();
  });
}

void Dispatcher::Recover(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    parts_.events.Open(job.name);
    if (job.cancel_requested) {
      recorder_.End(job, CancelledEnd());
      continue;
    }
    const QueuedJob place = PlaceOf(job);
    parts_.ledger.Take(place.name, CostOf(job, place));
    queue_.Push(place);
  }
  if (jobs.empty()) return;
  Log(LogLevel::kInfo, "jobs queued again", {{"jobs", absl::StrCat(jobs.size())}});
  AnnounceQueue();
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
      LoseAttempt(running, {why, /*charged=*/false});
    }
    running_.clear();
    running_jobs_ = 0;
  });
}

QueuedJob Dispatcher::PlaceOf(const Job& job) const {
  QueuedJob place;
  place.name = job.name;
  place.model = job.request.model();
  place.tenant = job.tenant;
  place.attempt = job.attempt;
  place.priority = job.request.priority();
  place.size = SizeOf(job.request);
  place.seconds = parts_.costs.Seconds(place.model, place.size).value_or(0);
  // The wall clock, which may jump, counts only for the time in which no process lived.
  const auto age = std::max(parts_.clock.Wall() - job.create_time, Job::WallTime::duration(0));
  place.arrival = parts_.clock.Now() - age;
  if (job.request.has_deadline()) {
    place.deadline = place.arrival + ToNanoseconds(job.request.deadline());
  }
  return place;
}

JobCost Dispatcher::CostOf(const Job& job, const QueuedJob& place) const {
  return {place.model, place.tenant, QueuedBytes(job), place.seconds, std::nullopt};
}

Placement Dispatcher::PlaceNow() const {
  Placement placement(parts_.costs);
  for (WorkerGroup* group : idle_) placement.AddIdle(PlacedAs(*group));
  for (const auto& [group, running] : running_) {
    placement.AddBusy(PlacedAs(*group), running.place,
                      Seconds(parts_.clock.Now() - running.started));
  }
  return placement;
}

void Dispatcher::AnnounceQueue() {
  Placement placement = PlaceNow();
  std::map<std::string, int> positions;
  std::vector<QueueEntry> entries;
  for (const QueuedJob* job : queue_.InOrder()) {
    QueueEntry entry{job->name, job->attempt, ++positions[job->model], std::nullopt};
    const std::optional<Placement::Assignment> place = placement.Take(*job);
    if (place.has_value() && job->seconds > 0) entry.start_in = place->start_in;
    entries.push_back(std::move(entry));
  }
  announcer_.Queue(entries);
}

void Dispatcher::Schedule() {
  if (idle_.empty() || draining_ || !recorder_.settled()) return;
  Placement placement = PlaceNow();
  std::vector<std::pair<std::string, std::string>> starts;  // group, job
  for (const QueuedJob* job : queue_.InOrder()) {
    if (starts.size() == idle_.size()) break;
    const std::optional<Placement::Assignment> place = placement.Take(*job);
    if (place.has_value() && place->now) starts.emplace_back(place->group, job->name);
  }
  bool moved = false;
  for (const auto& [group, job] : starts) {
    const auto idle = std::find_if(idle_.begin(), idle_.end(),
                                   [&](const WorkerGroup* each) { return each->name() == group; });
    if (idle != idle_.end()) moved = StartOn(**idle, job) || moved;
  }
  if (moved) AnnounceQueue();
}

// True when the job left the queue.
bool Dispatcher::StartOn(WorkerGroup& group, const std::string& name) {
  Failpoint("dispatch.before_claim");
  const absl::StatusOr<Job> job =
      parts_.store.Claim(name, group.name(), group.epoch(), parts_.clock.Wall());
  Failpoint("dispatch.after_claim");
  const bool damaged = absl::IsDataLoss(job.status());  // its image cannot be read
  const bool gone = absl::IsAborted(job.status()) || absl::IsNotFound(job.status());
  if (!job.ok()) {
    Log(LogLevel::kError, "job cannot be claimed",
        {{"job", name}, {"error", std::string(job.status().message())}});
    if (!gone && !damaged) return false;  // the store will come back; the next tick tries again
  }
  const std::optional<QueuedJob> place = job.ok() ? queue_.Take(name) : queue_.Remove(name);
  parts_.ledger.Release(name);
  if (job.ok()) RunOn(group, *place, *job);
  if (damaged) {
    const absl::StatusOr<Job> queued = parts_.store.Get(place->tenant, name);
    if (queued.ok()) recorder_.End(*queued, FailedEnd(job.status()));
  }
  return true;
}

void Dispatcher::RunOn(WorkerGroup& group, const QueuedJob& place, const Job& job) {
  parts_.metrics.queue_wait_seconds.Observe(Seconds(parts_.clock.Now() - place.arrival),
                                            {place.model});
  if (job.cancel_requested) return recorder_.End(job, CancelledEnd());
  auto writer = parts_.results.Begin(job.name, job.epoch, job.attempt);
  if (!writer.ok()) return recorder_.End(job, FailedEnd(writer.status()));
  Running running;
  running.job = job;
  running.job.image = nullptr;
  running.place = place;
  running.place.attempt = job.attempt;
  running.started = running.stage_started = parts_.clock.Now();
  running.writer = *std::move(writer);
  running_.insert_or_assign(&group, std::move(running));
  running_jobs_ = static_cast<int>(running_.size());
  std::erase(idle_, &group);
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
  parts_.metrics.dispatch_group_last_step_timestamp_seconds.Set(
      Seconds(parts_.clock.Wall().time_since_epoch()), {group.name()});
  announcer_.Progress(running->job, progress, SecondsLeftOf(*running, progress));
}

// Of the whole job, from the pace of the stage that runs; nullopt before its first step.
std::optional<double> Dispatcher::SecondsLeftOf(const Running& running,
                                                const RunProgress& progress) const {
  if (progress.stage == RunStage::kTextEncode || progress.step < 1) return std::nullopt;
  const double a_step = Seconds(parts_.clock.Now() - running.stage_started) / progress.step;
  const double left = a_step * (progress.steps - progress.step);
  if (progress.stage == RunStage::kDecode) return left;
  return left +
         parts_.costs.SecondsAfterSteps(running.place.model, running.job.group, running.place.size);
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
  // A rank that is about to leave: another group, or this one's next epoch, will take the job.
  if (absl::IsUnavailable(why)) return LoseAttempt(*running, {why, /*charged=*/false});
  recorder_.End(running->job, RequestedEnd(*running).value_or(FailedEnd(why)));
}

void Dispatcher::OnFinished(WorkerGroup& group, const RunOutcome& outcome) {
  std::optional<Running> running = TakeRunning(group);
  if (!running.has_value()) return;
  if (running->cancelled) {
    parts_.metrics.dispatch_cancel_ack_seconds.Observe(
        Seconds(parts_.clock.Now() - running->cancelled_at));
  }
  JobEnd end = EndOf(*running, outcome);
  end.stage_seconds = outcome.stage_seconds;
  if (end.state == JobState::kSucceeded) Learn(*running, outcome);
  recorder_.End(running->job, end);
}

void Dispatcher::Learn(const Running& running, const RunOutcome& outcome) {
  const QueuedJob& place = running.place;
  const double took = Seconds(parts_.clock.Now() - running.started);
  const std::optional<double> expected =
      parts_.costs.Seconds(place.model, running.job.group, place.size);
  if (expected.value_or(0) > 0) {
    parts_.metrics.dispatch_cost_error_ratio.Observe(took / *expected, {place.model});
  }
  parts_.costs.Learn(place.model, running.job.group, place.size, took,
                     outcome.stage_seconds.denoise);
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
  if (running.has_value()) LoseAttempt(*running, loss);
}

// The one place that decides what becomes of a job whose attempt was lost.
void Dispatcher::LoseAttempt(const Running& running, const GroupLoss& loss) {
  const std::optional<JobEnd> requested = RequestedEnd(running);
  if (requested.has_value()) return recorder_.End(running.job, *requested);
  if (!running.broken.ok()) return recorder_.End(running.job, FailedEnd(running.broken));
  const JobEnd failed = FailedEnd(loss.why);
  const bool poison = loss.charged && running.job.charges + 1 >= kMaxCharges;
  if (poison) return recorder_.End(running.job, failed);
  recorder_.Requeue(running.job, failed.error, loss.charged,
                    [this, place = running.place](const Job& job) {
                      if (job.cancel_requested) return recorder_.End(job, CancelledEnd());
                      parts_.ledger.Take(place.name, CostOf(job, place));
                      queue_.Push(place);
                      AnnounceQueue();
                    });
}

void Dispatcher::CancelNow(const std::string& tenant, const std::string& name,
                           const JobCallback& done) {
  const absl::StatusOr<Job> known = parts_.store.Get(tenant, name);
  if (!known.ok() || IsTerminal(known->state)) return done(known);
  // Who asks again and again costs no synced write each time.
  const absl::StatusOr<Job> asked =
      known->cancel_requested ? known : parts_.store.RequestCancel(name);
  Failpoint("dispatch.after_cancel_flag");
  if (!asked.ok()) return done(asked);
  if (queue_.Remove(name).has_value()) {
    parts_.ledger.Release(name);
    recorder_.End(*asked, CancelledEnd());
    AnnounceQueue();
    return done(parts_.store.Get(tenant, name));
  }
  for (auto& [group, running] : running_) {
    if (running.job.name != name || running.cancelled) continue;
    running.cancelled = true;
    running.cancelled_at = parts_.clock.Now();
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
  recorder_.Forget(*removed);
  done(known);
}

void Dispatcher::ExpireQueued() {
  const std::vector<std::string> late = queue_.PastDeadline(parts_.clock.Now());
  for (const std::string& name : late) {
    const absl::StatusOr<Job> job = parts_.store.RequestCancel(name);
    if (!job.ok()) continue;  // the next tick tries again
    queue_.Remove(name);
    parts_.ledger.Release(name);
    recorder_.End(*job, ExpiredEnd(*job));
  }
  if (!late.empty()) AnnounceQueue();
}

void Dispatcher::ExpireRunning() {
  for (auto& [group, running] : running_) {
    const std::optional<Time> deadline = running.place.deadline;
    const bool late = deadline.has_value() && *deadline <= parts_.clock.Now();
    if (!late || running.expired) continue;
    running.expired = true;
    group->Cancel();
  }
}

void Dispatcher::Tick() {
  recorder_.Tick();
  ExpireQueued();
  ExpireRunning();
  Schedule();
  AnnounceQueue();
  announcer_.Tick();
  load_.Show(PlaceNow().slots(), queue_.InOrder());
}

}  // namespace cogwheel
