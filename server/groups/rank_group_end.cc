#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
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
                "rank ", RankName(member.hello), " of group ", name_,
                handed_back ? " handed the job back: " : " failed: ", member.done.message())),
            .charged = !handed_back && job_error.ok() && FindLeaving() == nullptr,
            .job_error = job_error});
}

void RankGroup::OnFault(Member& member, const internal::v1::RankFault& fault) {
  parts_.metrics.rank_watchdog_fires_total.Increment({name_, "step_deadline"});
  if (phase_ == Phase::kGathering) return;
  CountAbort(kAbortHung);
  EndEpoch({.why = GroupLost(absl::StrCat("rank ", RankName(member.hello), " of group ", name_,
                                          " hangs: ", fault.message())),
            .charged = job_at_stake() && FindLeaving() == nullptr});
}

void RankGroup::OnLeaving(Member& member, bool now) {
  member.leaving = true;
  Log(LogLevel::kInfo, "rank leaves", {{"group", name_}, {"rank", RankName(member.hello)}});
  if (phase_ == Phase::kGathering) return;  // its stream ends next
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
  EndEpoch({.why = GroupLost(absl::StrCat("rank ", RankName(member.hello), " of group ", name_,
                                          " was asked to leave"))});
}

void RankGroup::OnGone(RankId id, const absl::Status& why) {
  Member* member = Find(id);
  if (member == nullptr) return;
  if (phase_ == Phase::kGathering) return RemoveWaiting(id, why);
  if (phase_ == Phase::kRunning && HasDoneItsPart(*member)) return;
  CountAbort(ErrorReason(why) == kRankSilent ? kAbortSilent : kAbortLost);
  EndEpoch({.why = GroupLost(absl::StrCat("rank ", RankName(member->hello), " of group ", name_,
                                          " was lost: ", std::string(why.message()))),
            .charged = job_at_stake() && FindLeaving() == nullptr});
}

void RankGroup::RemoveWaiting(RankId id, const absl::Status& why) {
  asked_to_leave_ = FindLeaving() != nullptr;
  std::erase_if(members_, [&](const Member& member) {
    if (member.id == id) member.link->Close(why);
    return member.id == id;
  });
  Publish();
}

void RankGroup::EndEpoch(const GroupLoss& loss) {
  Log(LogLevel::kError, "group lost",
      {{"group", name_},
       {"epoch", absl::StrCat(epoch_)},
       {"job", job_},
       {"charged", loss.charged ? "yes" : "no"},
       {"ranks", DescribeStand(members_)},
       {"error", std::string(loss.why.message())}});
  parts_.metrics.dispatch_group_losses_total.Increment({name_});
  asked_to_leave_ = FindLeaving() != nullptr;
  lost_job_ = loss.charged ? job_ : "";
  const std::vector<Member> members = std::exchange(members_, {});
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

// True when it dropped the member.
bool RankGroup::CheckSilence(Member& member) {
  if (phase_ == Phase::kRunning && HasDoneItsPart(member)) return false;
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
  if (CheckAllSilences()) return;
  if (phase_ == Phase::kGathering || parts_.clock.Now() < phase_end_) return;
  std::string missing;
  for (const Member& member : members_) {
    if (!member.reported) absl::StrAppend(&missing, " ", RankName(member.hello));
  }
  CountAbort(kAbortSilent);
  EndEpoch({.why = GroupLost(absl::StrCat("group ", name_, ": no report in time from", missing)),
            .charged = job_at_stake() && FindLeaving() == nullptr});
}

}  // namespace cogwheel
