#include "server/groups/rank_group.h"

#include <algorithm>
#include <cstdlib>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/groups/group_series.h"
#include "server/groups/job_plan.h"
#include "server/groups/membership.h"
#include "server/groups/rank_messages.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::Hello;
using internal::v1::RankMessage;

constexpr std::chrono::seconds kNoLimit{0};

}  // namespace

RankGroup::RankGroup(std::string name, const Parts& parts, const StallWatch& stalls)
    : name_(std::move(name)),
      parts_(parts),
      stalls_(stalls),
      epoch_request_(parts.store, parts.clock, parts.post),
      empty_since_(parts.clock.Now()) {
  BeginSeries(parts_.metrics, name_);
}

std::string RankGroup::model() const {
  return HasFormed(phase_) ? members_.front().hello.model().name() : "";
}

std::string RankGroup::model_digest() const {
  return members_.empty() ? "" : DigestOf(members_.front().hello);
}

Capabilities RankGroup::capabilities() const {
  return members_.empty() ? Capabilities() : CapabilitiesOf(members_.front().hello);
}

std::string RankGroup::setup() const {
  if (members_.empty()) return name_;
  const Hello& hello = members_.front().hello;
  const std::string device = hello.device().substr(0, hello.device().find(':'));  // not which one
  return absl::StrCat(name_, " ", DigestOf(hello), " cfg", hello.mesh().cfg(), " ring",
                      hello.mesh().ring(), " ulysses", hello.mesh().ulysses(), " ", device, " ",
                      hello.dtype());
}

RankGroup::Member* RankGroup::Find(RankId id) {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [id](const Member& member) { return member.id == id; });
  return found == members_.end() ? nullptr : &*found;
}

std::string RankGroup::NumberOf(const Member& member) const {
  return absl::StrCat("rank ", &member - members_.data(), " of group ", name_);
}

void RankGroup::Enter(Phase phase, std::chrono::seconds limit) {
  if (!IsLegalTransition(phase_, phase)) {  // this program is wrong: what it does next is, too
    Log(LogLevel::kError, "a group's phase cannot follow on the one it has",
        {{"group", name_},
         {"from", std::string(GroupPhaseName(phase_))},
         {"to", std::string(GroupPhaseName(phase))}});
    std::abort();
  }
  phase_ = phase;
  phase_end_ = limit.count() > 0 ? parts_.clock.Now() + limit : Time::max();
  for (Member& member : members_) member.reported = false;
}

void RankGroup::EnterIdle() {
  const Member* leaving = FindLeaving();
  if (leaving != nullptr) return EndEpochForLeaving(*leaving);
  Enter(Phase::kIdle, kNoLimit);
  job_.clear();
  Publish();
  parts_.observer.OnIdle(*this);
}

bool RankGroup::AllReported() const {
  return std::all_of(members_.begin(), members_.end(),
                     [](const Member& member) { return member.reported; });
}

void RankGroup::OnMessage(RankId id, const RankMessage& message,
                          const std::shared_ptr<const void>& owner) {
  Member* member = Find(id);
  const bool placed = HasEpoch(phase_);
  if (member == nullptr || (placed && !IsCurrent(message, epoch_, job_sequence_))) {
    parts_.metrics.dispatch_fenced_messages_total.Increment({name_, KindOf(message)});
  }
  if (member == nullptr) return;  // of an epoch that is over
  member->last_word = parts_.clock.Now();
  if (std::exchange(member->suspect, false)) Publish();
  if (placed && !IsCurrent(message, epoch_, job_sequence_)) return;
  switch (message.message_case()) {
    case RankMessage::kHeartbeat:
      return OnHeartbeat(*member, message.heartbeat());
    case RankMessage::kLeaving:
      return OnLeaving(*member, message.leaving().now());
    case RankMessage::kRankFault:
      return OnFault(*member, message.rank_fault());
    case RankMessage::kFormed:
      return OnFormed(*member, message.formed().weights_crc32c());
    case RankMessage::kJobAnswer:
      return OnAnswer(*member, message.job_answer());
    case RankMessage::kJobDone:
      return OnDone(*member, message.job_done());
    case RankMessage::kProgress:
    case RankMessage::kPreview:
    case RankMessage::kResultChunk:
      if (phase_ == Phase::kRunning && member == &members_.front())
        OnOutput(*member, message, owner);
      return;
    case RankMessage::kNotUnderstood:
      return OnNotUnderstood(*member, message.not_understood());
    case RankMessage::kHello:
      return OnStrange(*member, message, "a second greeting");
    case RankMessage::MESSAGE_NOT_SET:
      return OnStrange(*member, message, "a message that this server does not know");
  }
}

void RankGroup::OnHeartbeat(Member& member, const internal::v1::Heartbeat& beat) {
  // However long a slow disk takes: weights that keep coming are no reason to give up.
  if (phase_ == Phase::kForming && beat.step() > member.beat.step()) {
    phase_end_ = parts_.clock.Now() + parts_.limits.forming;
  }
  // A rank still at the job, however slow, answers for itself: its watchdog ends it if it hangs.
  const bool at_work = beat.job_sequence() == job_sequence_ && !member.reported;
  if (phase_ == Phase::kRunning && phase_end_ != Time::max() && at_work) {
    phase_end_ = parts_.clock.Now() + parts_.limits.ending;
  }
  member.beat = beat;
}

void RankGroup::Run(const AttemptOrder& order) {
  absl::StatusOr<internal::v1::JobPlan> plan = ToJobPlan(order);
  if (!plan.ok()) {
    parts_.observer.OnRefused(*this, plan.status());
    return parts_.observer.OnIdle(*this);
  }
  ++job_sequence_;
  job_ = order.job;
  cancel_asked_ = false;
  FrontendMessage message;
  internal::v1::RunJob& run = *message.mutable_run_job();
  run.set_epoch(epoch_);
  run.set_job_sequence(job_sequence_);
  run.set_job(order.job);
  run.set_attempt(order.attempt);
  *run.mutable_plan() = *std::move(plan);
  Enter(Phase::kOffered, parts_.limits.answer);
  for (size_t rank = 1; rank < members_.size(); ++rank) members_[rank].link->Send(message);
  if (order.image != nullptr) run.mutable_plan()->set_image(*order.image);
  members_.front().link->Send(message);
  Publish();
}

void RankGroup::OnAnswer(Member& member, const internal::v1::JobAnswer& answer) {
  if (phase_ != Phase::kOffered || member.reported) return;
  member.reported = true;
  member.planned_bytes = answer.planned_bytes();
  member.start = {CheckedWarnings(answer), CheckedSteps(answer)};
  member.answer =
      answer.code() == 0
          ? absl::OkStatus()
          : MakeError(ToStatusCode(answer.code()), answer.reason(),
                      absl::StrCat(NumberOf(member), " refused the job: ", answer.message()));
  if (AllReported()) StartOrDrop();
}

void RankGroup::StartOrDrop() {
  FrontendMessage message;
  const auto refused = std::find_if(members_.begin(), members_.end(),
                                    [](const Member& member) { return !member.answer.ok(); });
  if (refused == members_.end() && !cancel_asked_) {
    message.mutable_start_job()->set_epoch(epoch_);
    message.mutable_start_job()->set_job_sequence(job_sequence_);
    Log(LogLevel::kInfo, "job agreed",
        {{"group", name_},
         {"job", job_},
         {"planned_bytes", absl::StrCat(members_.front().planned_bytes)}},
        Audience::kMachines);
    Enter(Phase::kRunning, kNoLimit);
    Broadcast(message);
    Failpoint("group.after_start");
    return parts_.observer.OnStarted(*this, members_.front().start);
  }
  if (refused != members_.end()) CountJobError(ErrorReason(refused->answer));
  const absl::Status why = refused != members_.end()
                               ? refused->answer
                               : absl::CancelledError("cancelled before it started");
  message.mutable_drop_job()->set_epoch(epoch_);
  message.mutable_drop_job()->set_job_sequence(job_sequence_);
  Broadcast(message);
  parts_.observer.OnRefused(*this, why);
  EnterIdle();
}

void RankGroup::Cancel() {
  if (phase_ == Phase::kOffered) cancel_asked_ = true;  // dropped once all have answered
  if (phase_ != Phase::kRunning) return;
  FrontendMessage message;
  message.mutable_cancel_job()->set_epoch(epoch_);
  message.mutable_cancel_job()->set_job_sequence(job_sequence_);
  Broadcast(message);
}

void RankGroup::OnOutput(Member& member, const RankMessage& message,
                         const std::shared_ptr<const void>& owner) {
  // A result that keeps coming is no reason to give up on the rank that sends it.
  if (phase_end_ != Time::max()) phase_end_ = parts_.clock.Now() + parts_.limits.ending;
  if (message.has_progress()) {
    const absl::StatusOr<RunProgress> progress = ToRunProgress(message.progress());
    if (!progress.ok()) return OnStrange(member, message, std::string(progress.status().message()));
    parts_.observer.OnProgress(*this, *progress);
  } else if (message.has_preview()) {
    const internal::v1::Preview& preview = message.preview();
    const absl::Status legal = CheckPreview(preview);
    if (!legal.ok()) return OnStrange(member, message, std::string(legal.message()));
    parts_.observer.OnPreview(*this, preview.step(), preview.steps(), preview.jpeg());
  } else if (message.has_result_chunk()) {
    parts_.observer.OnResultPiece(
        *this, {message.result_chunk().offset(), message.result_chunk().data(), owner});
  }
}

void RankGroup::OnDone(Member& member, const internal::v1::JobDone& done) {
  if (phase_ != Phase::kRunning || member.reported) return;
  member.reported = true;
  member.done = CheckedReport(done);
  if (done.epoch_over()) return OnBroken(member);
  if (phase_end_ == Time::max()) phase_end_ = parts_.clock.Now() + parts_.limits.ending;
  if (!AllReported()) return;
  std::vector<internal::v1::JobDone> reports;
  for (const Member& each : members_) reports.push_back(each.done);
  const RunOutcome outcome = MergeReports(reports);
  CountJobError(outcome.reason);
  parts_.observer.OnFinished(*this, outcome);
  EnterIdle();
}

void RankGroup::Broadcast(const FrontendMessage& message) {
  for (const Member& member : members_) member.link->Send(message);
}

v1::Group RankGroup::Describe() const {
  v1::Group group;
  group.set_name(name_);
  group.set_epoch(epoch_);
  group.set_ready(HasFormed(phase_));
  group.set_running_job(job_);
  if (members_.empty()) return group;
  const Hello& first = members_.front().hello;
  group.set_model(first.model().name());
  group.set_model_digest(DigestOf(first));
  group.mutable_mesh()->set_cfg(first.mesh().cfg());
  group.mutable_mesh()->set_ring(first.mesh().ring());
  group.mutable_mesh()->set_ulysses(first.mesh().ulysses());
  for (size_t i = 0; i < members_.size(); ++i) {
    const Member& member = members_[i];
    v1::Rank& rank = *group.add_ranks();
    rank = DescribeRank(member, HasEpoch(phase_) ? static_cast<int>(i) : -1);
    rank.set_state(member.suspect           ? v1::RANK_SUSPECT
                   : !group.ready()         ? v1::RANK_JOINED
                   : phase_ == Phase::kIdle ? v1::RANK_READY
                                            : v1::RANK_BUSY);
  }
  return group;
}

void RankGroup::Publish() {
  const v1::Group group = Describe();
  parts_.board.Put(group, members_.empty() ? v1::Model() : ToModel(members_.front().hello));
  if (members_.empty() && asked_to_leave_) {  // by whoever scales down: nobody is missed
    parts_.metrics.dispatch_group_up.Remove({name_});
  } else {
    parts_.metrics.dispatch_group_up.Set(group.ready() ? 1 : 0, {name_});
  }
  parts_.metrics.dispatch_group_epoch.Set(static_cast<double>(epoch_), {name_});
}

}  // namespace cogwheel
