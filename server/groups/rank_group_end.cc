#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/group_series.h"
#include "server/groups/membership.h"
#include "server/groups/rank_group.h"
#include "server/groups/rank_messages.h"

// How an epoch ends: ranks that die, fall silent, hang, fail or leave.
namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;

absl::Status Unavailable(std::string_view reason, const std::string& message) {
  return MakeError(absl::StatusCode::kUnavailable, reason, message);
}

absl::Status GroupLost(const std::string& message) { return Unavailable(kGroupLost, message); }

// It was asked to leave and may be gone already: the job ends with the others' reports.
bool HasDoneItsPart(const RankMember& member) { return member.leaving && member.reported; }

}  // namespace

// Of exchanges that may have been under way; not when ranks were asked to leave.
void RankGroup::CountAbort(const char* reason) {
  if (phase_ != Phase::kRunning || FindLeaving() != nullptr) return;
  parts_.metrics.parallel_collective_aborts_total.Increment({name_, reason});
}

// What a rank says has failed the job and, unless it could not be helped, nothing else.
void RankGroup::CountJobError(const std::string& reason) {
  if (reason == kOutOfMemoryReason) parts_.metrics.rank_out_of_memory_total.Increment({name_});
  if (reason == kNotFiniteReason) parts_.metrics.rank_not_finite_total.Increment({name_});
}

// Its collectives cannot go on. A job that was handed back did nothing wrong.
void RankGroup::OnBroken(const Member& member) {
  const bool out_of_step = IsOutOfStep(member.done, protocol_);
  if (out_of_step) {
    parts_.metrics.pipeline_step_agreement_mismatches_total.Increment({name_});
  }
  const bool handed_back = ToStatusCode(member.done.code()) == absl::StatusCode::kAborted;
  if (!handed_back) CountAbort(out_of_step ? kAbortOutOfStep : kAbortFailed);
  const absl::Status job_error = ErrorOfTheJob(member.done);
  CountJobError(member.done.reason());
  EndEpoch({.why = GroupLost(absl::StrCat(
                NumberOf(member),
                handed_back ? " handed the job back: " : " failed: ", member.done.message())),
            .charged = !handed_back && job_error.ok() && JobMayBeTheCause(),
            .job_error = job_error},
           RankName(member.hello));
}

void RankGroup::OnFault(Member& member, const internal::v1::RankFault& fault) {
  parts_.metrics.rank_watchdog_fires_total.Increment({name_, "step_deadline"});
  if (!HasEpoch(phase_)) return;
  CountAbort(kAbortHung);
  EndEpoch({.why = GroupLost(absl::StrCat(NumberOf(member), " hangs: ", fault.message())),
            .charged = JobMayBeTheCause()},
           RankName(member.hello));
}

void RankGroup::OnLeaving(Member& member, bool now) {
  member.leaving = true;
  Log(LogLevel::kInfo, "rank leaves", {{"group", name_}, {"rank", RankName(member.hello)}});
  if (!HasEpoch(phase_)) return StopNumbering();  // its stream ends next
  if (phase_ != Phase::kRunning) return EndEpochForLeaving(member);
  if (!now) return;  // the job ends first
  FrontendMessage message;
  message.mutable_stop_job()->set_epoch(epoch_);
  message.mutable_stop_job()->set_job_sequence(job_sequence_);
  Broadcast(message);
}

const RankGroup::Member* RankGroup::FindLeaving() const {
  const auto found = std::find_if(members_.begin(), members_.end(),
                                  [](const Member& member) { return member.leaving; });
  return found == members_.end() ? nullptr : &*found;
}

void RankGroup::EndEpochForLeaving(const Member& member) {
  EndEpoch({.why = GroupLost(absl::StrCat(NumberOf(member), " was asked to leave"))},
           RankName(member.hello));
}

void RankGroup::OnGone(RankId id, const absl::Status& why) {
  Member* member = Find(id);
  if (member == nullptr) return;
  if (!HasEpoch(phase_)) return RemoveWaiting(id, why);
  if (phase_ == Phase::kRunning && HasDoneItsPart(*member)) return;
  CountAbort(ErrorReason(why) == kRankSilent ? kAbortSilent : kAbortLost);
  EndEpoch({.why = GroupLost(absl::StrCat(NumberOf(*member), " was lost: ", why.message())),
            .charged = JobMayBeTheCause()},
           RankName(member->hello));
}

// Some rank goes: the number would be one of a group that is not complete.
void RankGroup::StopNumbering() {
  epoch_request_.Drop();
  if (phase_ == Phase::kNumbering) Enter(Phase::kGathering, std::chrono::seconds(0));
}

void RankGroup::RemoveWaiting(RankId id, const absl::Status& why) {
  StopNumbering();
  asked_to_leave_ = FindLeaving() != nullptr;
  std::erase_if(members_, [&](const Member& member) {
    if (member.id == id) member.link->Close(why);
    return member.id == id;
  });
  if (members_.empty()) empty_since_ = parts_.clock.Now();
  AskForEpoch();
  Publish();
}

// It had been offered or ran. Not when a rank was asked to leave; and when this server stood still,
// ranks leave a frontend that they do not hear.
bool RankGroup::JobMayBeTheCause() const {
  const bool at_stake = phase_ == Phase::kOffered || phase_ == Phase::kRunning;
  return at_stake && FindLeaving() == nullptr && !stalls_.Lately();
}

void RankGroup::EndEpoch(GroupLoss loss, const std::string& who) {
  const bool left = FindLeaving() != nullptr;
  loss.kind = left ? GroupLossKind::kLeft : GroupLossKind::kLost;
  Log(left ? LogLevel::kInfo : LogLevel::kError, left ? "group left" : "group lost",
      {{"group", name_},
       {"epoch", absl::StrCat(epoch_)},
       {"rank", who},
       {"job", job_},
       {"charged", loss.charged ? "yes" : "no"},
       {"ranks", DescribeStand(members_)},
       {"error", std::string(loss.why.message())}});
  if (left) {
    parts_.costs.DropGroup(name_);  // it is not expected back
  } else {
    parts_.metrics.dispatch_group_losses_total.Increment({name_});
  }
  asked_to_leave_ = left;
  lost_job_ = loss.charged ? job_ : "";
  const std::vector<Member> members = std::exchange(members_, {});
  empty_since_ = parts_.clock.Now();
  Enter(Phase::kGathering, std::chrono::seconds(0));
  job_.clear();
  FrontendMessage message;
  message.mutable_shutdown()->set_epoch(epoch_);
  message.mutable_shutdown()->set_reason(std::string(loss.why.message()));
  for (const Member& member : members) {
    member.link->Send(message);
    member.link->Close(loss.why);
  }
  Publish();
  parts_.observer.OnLost(*this, loss);
}

// It is we who do not listen: its words wait, and so may the report that ends the job.
void RankGroup::OnHeld(Member& member) {
  member.last_word = parts_.clock.Now();
  const bool ending = phase_ == Phase::kRunning && phase_end_ != Time::max() && !member.reported;
  if (ending) phase_end_ = parts_.clock.Now() + parts_.limits.ending;
}

// True when it dropped the member.
bool RankGroup::CheckSilence(Member& member) {
  if (phase_ == Phase::kRunning && HasDoneItsPart(member)) return false;
  if (member.link->held()) OnHeld(member);
  const auto silence = parts_.clock.Now() - member.last_word;
  if (silence >= parts_.limits.dead) {
    OnGone(member.id, Unavailable(kRankSilent,
                                  absl::StrCat("no word for ", parts_.limits.dead.count(), " s")));
    return true;
  }
  if (silence >= parts_.limits.suspect && !std::exchange(member.suspect, true)) {
    Log(LogLevel::kWarning, "rank suspect", {{"group", name_}, {"rank", RankName(member.hello)}});
    Publish();
  }
  return false;
}

// True when a member was dropped, or the epoch with it: `members_` is another then.
bool RankGroup::CheckAllSilences() {
  return std::any_of(members_.begin(), members_.end(),
                     [this](Member& member) { return CheckSilence(member); });
}

void RankGroup::Tick() {
  epoch_request_.Tick();
  if (CheckAllSilences()) return;
  if (!HasEpoch(phase_) || parts_.clock.Now() < phase_end_) return;
  std::vector<std::string> missing, hosts;
  for (const Member& member : members_) {
    if (member.reported) continue;
    missing.push_back(NumberOf(member));
    hosts.push_back(RankName(member.hello));
  }
  CountAbort(kAbortSilent);
  EndEpoch({.why = GroupLost(absl::StrCat("no report in time from ", absl::StrJoin(missing, ", "))),
            .charged = JobMayBeTheCause()},
           absl::StrJoin(hosts, ", "));
}

void RankGroup::AfterStall(std::chrono::nanoseconds away) {
  for (Member& member : members_) member.last_word += away;
  if (phase_end_ != Time::max()) phase_end_ += away;
}

std::optional<RankGroup::Time> RankGroup::empty_since() const {
  return members_.empty() ? std::optional(empty_since_) : std::nullopt;
}

void RankGroup::Forget() {
  parts_.board.Remove(name_);
  parts_.costs.DropGroup(name_);
  RemoveSeries(parts_.metrics, name_);
}

}  // namespace cogwheel
