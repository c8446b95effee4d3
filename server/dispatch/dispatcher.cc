#include "server/dispatch/dispatcher.h"

#include <algorithm>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/job/fault.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxPreviewBytes = 1024 * 1024;
constexpr size_t kAnnouncedAtOnce = 256;  // jobs; the positions in a longer queue are told on ticks

double Seconds(std::chrono::nanoseconds duration) { return duration.count() * 1e-9; }

Placement::Group GroupOf(const WorkerGroup& group) {
  return {group.name(), group.model(), group.model_digest(), group.capabilities(), group.setup()};
}

}  // namespace

Dispatcher::Dispatcher(const Parts& parts)
    : parts_(parts),
      announcer_(parts.events, parts.clock),
      rules_(parts.metrics),
      load_(parts.ledger, parts.metrics, parts.clock),
      recorder_({parts.loop, parts.store, parts.health, announcer_, parts.clock, parts.metrics,
                 parts.ended}),
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
      recorder_.End({job.name, job.epoch, job.attempt, ""}, CancelledEnd(), [](const auto&) {});
    } else {
      waiting_.PushAgain(job, waiting_.Queued(job));
    }
  }
  if (jobs.empty()) return;
  Log(LogLevel::kInfo, "jobs queued again", {{"jobs", absl::StrCat(jobs.size())}});
  waiting_.Announce(PlacementNow());
}

void Dispatcher::Drain() {
  parts_.loop.Post([this] { draining_ = true; });
}

Placement Dispatcher::PlacementNow() const {
  Placement placement(parts_.costs, parts_.orders.Now(), rules_);
  for (const WorkerGroup* group : idle_) placement.AddIdle(GroupOf(*group));
  for (const auto& [name, running] : attempts_) {
    if (running->group() == nullptr) continue;
    placement.AddBusy(GroupOf(*running->group()), running->queued(),
                      running->SecondsSinceStart(parts_.clock.Now()));
  }
  return placement;
}

// While the store fails nothing is claimed: it would be lost again, after a group's work.
void Dispatcher::Schedule() {
  if (idle_.empty() || draining_ || !parts_.health.ok()) return;
  Placement placement = PlacementNow();
  std::vector<std::pair<std::string, std::string>> starts;  // group, job
  for (const QueuedJob* job : waiting_.InOrder()) {
    if (starts.size() == idle_.size()) break;
    const std::optional<Placement::Assignment> assigned = placement.Take(*job);
    if (assigned.has_value() && assigned->now) starts.emplace_back(assigned->group, job->name);
  }
  rules_.Count(placement.held());
  for (const auto& [group, job] : starts) {
    const auto idle = std::ranges::find(idle_, group, &WorkerGroup::name);
    if (idle != idle_.end()) StartOn(**idle, job);
  }
  if (!starts.empty()) waiting_.Announce(PlacementNow());
}

RunningJob* Dispatcher::RunningOn(const WorkerGroup& group) {
  const auto found = std::ranges::find_if(
      attempts_, [&group](const auto& entry) { return entry.second->group() == &group; });
  return found == attempts_.end() ? nullptr : found->second.get();
}

RunningJob* Dispatcher::TakeFrom(const WorkerGroup& group) {
  RunningJob* running = RunningOn(group);
  if (running != nullptr) running->LeaveGroup(parts_.clock.Now());
  return running;
}

void Dispatcher::OnIdle(WorkerGroup& group) {
  if (std::find(idle_.begin(), idle_.end(), &group) == idle_.end()) idle_.push_back(&group);
  // Not from inside the group's own call: it may still have something to say.
  parts_.loop.Post([this] { Schedule(); });
}

void Dispatcher::OnStarted(WorkerGroup& group, const RunStart& start) {
  RunningJob* running = RunningOn(group);
  if (running == nullptr) return;
  const QueuedJob& queued = running->queued();
  running->OnStarted(start, parts_.costs.Expect(queued.model, group.setup(), queued.size.shape,
                                                start.decode_in_steps));
  if (!start.warnings.empty()) recorder_.Warn(running->job());
  announcer_.Started(running->job(), group.model_digest());
}

void Dispatcher::OnProgress(WorkerGroup& group, const RunProgress& progress) {
  RunningJob* running = RunningOn(group);
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
  const RunningJob* running = RunningOn(group);
  if (running == nullptr || jpeg.size() > kMaxPreviewBytes) return;
  announcer_.Preview(running->job(), step, steps, jpeg);
}

void Dispatcher::OnResultPiece(WorkerGroup& group, ResultPiece piece) {
  RunningJob* running = RunningOn(group);
  if (running == nullptr || running->result_failed()) return;
  const auto bytes = static_cast<int64_t>(piece.bytes.size());
  if (bytes > kMaxChunkBytes) {
    return OnWritten(*running, piece.offset, bytes,
                     MakeError(absl::StatusCode::kInternal, "RESULT_CHUNK",
                               absl::StrCat("a piece of the result has ", bytes,
                                            " bytes; the limit is ", kMaxChunkBytes)));
  }
  const auto written = [this, offset = piece.offset, bytes](RunningJob& each, absl::Status status) {
    OnWritten(each, offset, bytes, status);
  };
  running->writer().Append(std::move(piece), Later<absl::Status>(*running, written));
}

// Watchers hear of a piece once it can be read.
void Dispatcher::OnWritten(RunningJob& running, int64_t offset, int64_t bytes,
                           const absl::Status& written) {
  if (running.phase() == AttemptPhase::kEnding) return;
  if (written.ok()) {
    return announcer_.Chunk(running.job(), offset, bytes, running.writer().reader());
  }
  if (IsStoreFault(written)) parts_.health.Failed("result", written);
  if (running.FailResult(written) && running.group() != nullptr) running.group()->Cancel();
}

void Dispatcher::Tick() {
  recorder_.Tick();
  CommitOwed();
  Expire();
  Schedule();
  const Placement placement = PlacementNow();
  waiting_.Announce(placement);
  const std::vector<const QueuedJob*> order = waiting_.InOrder();
  int64_t largest = 0;
  for (const QueuedJob* job : order) largest = std::max(largest, job->result_bytes);
  largest_result_ = largest;
  for (auto& [name, running] : attempts_) {
    if (running->TellAgain(parts_.clock.Now())) TellProgress(*running);
  }
  announcer_.Tick();
  load_.Show(placement.slots(), order);
}

}  // namespace cogwheel
