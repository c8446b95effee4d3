#include "server/dispatch/dispatcher.h"

#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxPreviewBytes = 1024 * 1024;
constexpr size_t kAnnouncedAtOnce = 256;  // jobs; the positions in a longer queue are told on ticks

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

template <typename Value>
absl::StatusOr<Value> AskStore(const std::function<void(Answer<Value>)>& call) {
  return Await<absl::StatusOr<Value>>(call);
}

Placement::Group GroupOf(const WorkerGroup& group) {
  return {group.name(), group.model(), group.model_digest(), group.capabilities(), group.setup()};
}

}  // namespace

Dispatcher::Dispatcher(const Parts& parts)
    : parts_(parts),
      announcer_(parts.events, parts.clock),
      load_(parts.ledger, parts.metrics, parts.clock),
      recorder_({parts.store, parts.results, parts.events, announcer_, parts.clock, parts.metrics,
                 parts.keep}),
      waiting_({parts.ledger, announcer_, parts.costs, parts.clock, parts.needs_of}) {}

void Dispatcher::Accept(const Job& job) {
  parts_.events.Open(job.name);
  parts_.loop.Post([this, queued = waiting_.Queued(job)] {
    waiting_.Push(queued);
    if (waiting_.size() <= kAnnouncedAtOnce) waiting_.Announce(PlacementNow());
    Schedule();
  });
}

void Dispatcher::Recover(const std::vector<Job>& jobs) {
  for (const Job& job : jobs) {
    parts_.events.Open(job.name);
    if (job.cancel_requested) {
      recorder_.End(job, CancelledEnd());
    } else {
      waiting_.PushAgain(job, waiting_.Queued(job));
    }
  }
  if (jobs.empty()) return;
  Log(LogLevel::kInfo, "jobs queued again", {{"jobs", absl::StrCat(jobs.size())}});
  waiting_.Announce(PlacementNow());
}

// Asks on the loop's thread and hands over the answer.
void Dispatcher::Ask(std::function<absl::StatusOr<Job>()> question, JobCallback done) {
  const auto shared = std::make_shared<const JobCallback>(std::move(done));
  const bool posted =
      parts_.loop.TryPost([question = std::move(question), shared] { (*shared)(question()); });
  if (posted) return;
  (*shared)(MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                      "the server has too many requests at hand"));
}

void Dispatcher::Cancel(const std::string& tenant, const std::string& name, JobCallback done) {
  Ask([this, tenant, name] { return CancelNow(tenant, name); }, std::move(done));
}

void Dispatcher::Delete(const std::string& tenant, const std::string& name, JobCallback done) {
  Ask([this, tenant, name] { return recorder_.Delete(tenant, name); }, std::move(done));
}

void Dispatcher::Drain() {
  parts_.loop.Post([this] { draining_ = true; });
}

void Dispatcher::Abandon() {
  parts_.loop.Post([this] {
    const absl::Status why =
        MakeError(absl::StatusCode::kUnavailable, "SHUTDOWN", "the server was shut down");
    for (const auto& [group, running] : running_) {
      group->Cancel();
      LoseAttempt(running, {why, /*charged=*/false});
    }
    running_.clear();
    running_jobs_ = 0;
  });
}

Placement Dispatcher::PlacementNow() const {
  Placement placement(parts_.costs);
  for (const WorkerGroup* group : idle_) placement.AddIdle(GroupOf(*group));
  for (const auto& [group, running] : running_) {
    placement.AddBusy(GroupOf(*group), running.queued(),
                      running.SecondsSinceStart(parts_.clock.Now()));
  }
  return placement;
}

void Dispatcher::Schedule() {
  if (idle_.empty() || draining_ || !recorder_.settled()) return;
  Placement placement = PlacementNow();
  std::vector<std::pair<std::string, std::string>> starts;  // group, job
  for (const QueuedJob* job : waiting_.InOrder()) {
    if (starts.size() == idle_.size()) break;
    const std::optional<Placement::Assignment> assigned = placement.Take(*job);
    if (assigned.has_value() && assigned->now) starts.emplace_back(assigned->group, job->name);
  }
  bool moved = false;
  for (const auto& [group, job] : starts) {
    const auto idle = std::ranges::find(idle_, group, &WorkerGroup::name);
    if (idle != idle_.end()) moved = StartOn(**idle, job) || moved;
  }
  if (moved) waiting_.Announce(PlacementNow());
}

// True when the job left the queue.
bool Dispatcher::StartOn(WorkerGroup& group, const std::string& name) {
  Failpoint("dispatch.before_claim");
  const auto job = Await<absl::StatusOr<Job>>([&](Answer<Job> done) {
    parts_.store.ClaimNext({group.name(), group.epoch(), parts_.clock.Wall(), {name}},
                           std::move(done));
  });
  Failpoint("dispatch.after_claim");
  if (job.ok()) {
    RunOn(group, *waiting_.Start(name), *job);
    return true;
  }
  Log(LogLevel::kError, "job cannot be claimed",
      {{"job", name}, {"error", std::string(job.status().message())}});
  const bool damaged = absl::IsDataLoss(job.status());  // its image cannot be read
  const bool gone = absl::IsAborted(job.status()) || absl::IsNotFound(job.status());
  if (!gone && !damaged) return false;  // the store will come back; the next tick tries again
  const std::optional<QueuedJob> queued = waiting_.Remove(name);
  if (damaged) {
    const absl::StatusOr<Job> known = parts_.store.Get(queued->tenant, name);
    if (known.ok()) recorder_.End(*known, FailedEnd(job.status()));
  }
  return true;
}

void Dispatcher::RunOn(WorkerGroup& group, const QueuedJob& queued, const Job& job) {
  parts_.metrics.queue_wait_seconds.Observe(Seconds(parts_.clock.Now() - queued.arrival),
                                            {queued.model});
  if (job.cancel_requested) return recorder_.End(job, CancelledEnd());
  auto writer = parts_.results.Begin(job.name, job.epoch, job.attempt);
  if (!writer.ok()) return recorder_.End(job, FailedEnd(writer.status()));
  running_.insert_or_assign(&group,
                            RunningJob(job, queued, *std::move(writer), parts_.clock.Now()));
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

RunningJob* Dispatcher::FindRunning(WorkerGroup& group) {
  const auto found = running_.find(&group);
  return found == running_.end() ? nullptr : &found->second;
}

std::optional<RunningJob> Dispatcher::TakeRunning(WorkerGroup& group) {
  auto taken = running_.extract(&group);
  if (taken.empty()) return std::nullopt;
  running_jobs_ = static_cast<int>(running_.size());
  return std::move(taken.mapped());
}

void Dispatcher::OnIdle(WorkerGroup& group) {
  if (std::find(idle_.begin(), idle_.end(), &group) == idle_.end()) idle_.push_back(&group);
  // Not from inside the group's own call: it may still have something to say.
  parts_.loop.Post([this] { Schedule(); });
}

void Dispatcher::OnStarted(WorkerGroup& group, const RunStart& start) {
  RunningJob* running = FindRunning(group);
  if (running == nullptr) return;
  const QueuedJob& queued = running->queued();
  running->OnStarted(start, parts_.costs.Expect(queued.model, group.setup(), queued.size.shape,
                                                start.decode_in_steps));
  if (!start.warnings.empty()) recorder_.Warn(running->job());
  announcer_.Started(running->job(), group.model_digest());
}

void Dispatcher::OnProgress(WorkerGroup& group, const RunProgress& progress) {
  RunningJob* running = FindRunning(group);
  if (running == nullptr) return;
  running->OnProgress(progress, parts_.clock.Now());
  parts_.metrics.dispatch_group_last_step_timestamp_seconds.Set(
      Seconds(parts_.clock.Wall().time_since_epoch()), {group.name()});
  TellProgress(*running);
}

void Dispatcher::TellProgress(RunningJob& running) {
  const auto now = parts_.clock.Now();
  const double fraction = running.pace().Fraction(now);
  announcer_.Progress(running.job(), *running.progress(),
                      {fraction, running.pace().SecondsLeft(now)});
}

void Dispatcher::OnPreview(WorkerGroup& group, int step, int steps, std::string_view jpeg) {
  const RunningJob* running = FindRunning(group);
  if (running == nullptr || jpeg.size() > kMaxPreviewBytes) return;
  announcer_.Preview(running->job(), step, steps, jpeg);
}

void Dispatcher::OnResultChunk(WorkerGroup& group, int64_t offset, std::string_view data) {
  RunningJob* running = FindRunning(group);
  if (running == nullptr || running->result_failed()) return;
  if (!running->Append(offset, data).ok()) return group.Cancel();
  announcer_.Chunk(running->job(), offset, static_cast<int64_t>(data.size()), running->result());
}

absl::StatusOr<Job> Dispatcher::CancelNow(const std::string& tenant, const std::string& name) {
  const absl::StatusOr<Job> known = parts_.store.Get(tenant, name);
  if (!known.ok() || IsTerminal(known->state)) return known;
  // Who asks again and again costs no synced write each time.
  const absl::StatusOr<Job> asked =
      known->cancel_requested ? known : AskStore<Job>([&](Answer<Job> answer) { parts_.store.RequestCancel(tenant, name, answer); });
  Failpoint("dispatch.after_cancel_flag");
  if (!asked.ok()) return asked;
  if (waiting_.Remove(name).has_value()) {
    recorder_.End(*asked, CancelledEnd());
    waiting_.Announce(PlacementNow());
    return parts_.store.Get(tenant, name);
  }
  for (auto& [group, running] : running_) {
    if (running.job().name == name && running.Cancel(parts_.clock.Now())) group->Cancel();
  }
  return asked;
}

void Dispatcher::Expire() {
  const std::vector<std::string> late = waiting_.PastDeadline(parts_.clock.Now());
  for (const std::string& name : late) {
    const auto waiting = waiting_.InOrder();
    const std::string tenant = (*std::ranges::find(waiting, name, &QueuedJob::name))->tenant;
    const auto job =
        AskStore<Job>([&](Answer<Job> answer) { parts_.store.RequestCancel(tenant, name, answer); });
    if (!job.ok()) continue;  // the next tick tries again
    waiting_.Remove(name);
    recorder_.End(*job, ExpiredEnd(*job));
  }
  if (!late.empty()) waiting_.Announce(PlacementNow());
  for (auto& [group, running] : running_) {
    if (running.Expire(parts_.clock.Now())) group->Cancel();
  }
}

void Dispatcher::Tick() {
  recorder_.Tick();
  Expire();
  Schedule();
  const Placement placement = PlacementNow();
  waiting_.Announce(placement);
  for (auto& [group, running] : running_) {
    if (running.TellAgain(parts_.clock.Now())) TellProgress(running);
  }
  announcer_.Tick();
  load_.Show(placement.slots(), waiting_.InOrder());
}

}  // namespace cogwheel
