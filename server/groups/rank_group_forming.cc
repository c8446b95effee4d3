// How a group comes up: ranks are gathered, get world ranks and an epoch, and say when they have
// formed.
#include <algorithm>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/membership.h"
#include "server/groups/rank_group.h"
#include "server/groups/rank_messages.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::Hello;

// A second process on a rank's device: the same one anew, or another worker on that host.
std::string ReplacedBy(const Hello& old, const Hello& hello) {
  return absl::StrCat("it joined anew as process ", hello.pid(), ", before as ", old.pid());
}

bool SameDevice(const Hello& a, const Hello& b) {
  return a.host() == b.host() && a.local_rank() == b.local_rank() && a.device() == b.device();
}

}  // namespace

absl::Status RankGroup::Join(RankId id, std::shared_ptr<RankLink> link, const Hello& hello) {
  const auto old = std::find_if(members_.begin(), members_.end(), [&hello](const Member& member) {
    return SameDevice(member.hello, hello);
  });
  if (old != members_.end()) {
    const absl::Status replaced = Replace(*old, hello);
    if (!replaced.ok()) return replaced;
  }
  if (phase_ != Phase::kGathering) {
    parts_.metrics.dispatch_fenced_messages_total.Increment({name_, "hello"});
    return MakeError(absl::StatusCode::kFailedPrecondition, "GROUP_COMPLETE",
                     absl::StrCat("rank ", RankName(hello), ": group ", name_, " has all of its ",
                                  members_.size(), " ranks"));
  }
  if (!members_.empty()) {
    const absl::Status same = CheckSame(members_.front().hello, hello);
    if (!same.ok()) return same;
  }
  Member member;
  member.id = id;
  member.link = std::move(link);
  member.hello = hello;
  protocol_ = SpokenProtocol(hello).value_or(0);
  member.last_word = parts_.clock.Now();
  members_.push_back(std::move(member));
  if (hello.replaces_killed_for_memory()) OnKilledForMemory(hello);
  AskForEpoch();
  Publish();
  return absl::OkStatus();
}

// It came back before its old connection was missed, or was started a second time by mistake: then
// the two would throw each other out for ever.
absl::Status RankGroup::Replace(const Member& old, const Hello& hello) {
  const bool speaks = parts_.clock.Now() - old.last_word < parts_.limits.suspect;
  if (old.hello.pid() != hello.pid() && speaks && !stalls_.Lately()) {
    return MakeError(absl::StatusCode::kAlreadyExists, kRankPresent,
                     absl::StrCat("rank ", RankName(hello), " of group ", name_,
                                  " is there already, as process ", old.hello.pid(),
                                  "; this is process ", hello.pid()));
  }
  OnGone(old.id,
         MakeError(absl::StatusCode::kUnavailable, kRankReplaced, ReplacedBy(old.hello, hello)));
  return absl::OkStatus();
}

// The loss of the epoch before is explained: the job would end the next one too.
void RankGroup::OnKilledForMemory(const Hello& hello) {
  if (lost_job_.empty()) return;
  Log(LogLevel::kWarning, "a rank was killed for memory",
      {{"group", name_}, {"rank", RankName(hello)}, {"job", lost_job_}});
  CountJobError(kOutOfMemoryReason);
  parts_.observer.OnLossExplained(
      std::exchange(lost_job_, ""),
      MakeError(absl::StatusCode::kResourceExhausted, kOutOfMemoryReason,
                absl::StrCat("out of memory: the kernel killed a rank of group ", name_,
                             " while the job ran")));
}

// Once all are here, and none of them is about to leave.
void RankGroup::AskForEpoch() {
  const bool complete = !members_.empty() && static_cast<int>(members_.size()) ==
                                                 WorldSize(members_.front().hello.mesh());
  if (!complete || FindLeaving() != nullptr) return;
  Enter(Phase::kNumbering, std::chrono::seconds(0));  // for as long as the store takes
  epoch_request_.Begin(ToModel(members_.front().hello), [this](int64_t epoch) { Form(epoch); });
}

void RankGroup::Form(int64_t epoch) {
  epoch_ = epoch;
  const absl::StatusOr<std::string> token = parts_.make_token();
  if (!token.ok()) return EndEpoch({.why = token.status()}, "");
  std::vector<Hello> hellos;
  for (const Member& member : members_) hellos.push_back(member.hello);
  std::vector<Member> ordered;
  for (const size_t index : WorldOrder(hellos)) ordered.push_back(std::move(members_[index]));
  members_ = std::move(ordered);
  FrontendMessage message;
  internal::v1::Assign& assign = *message.mutable_assign();
  assign.set_epoch(epoch_);
  assign.set_token(*token);
  for (const Member& member : members_) assign.add_peer_addresses(member.hello.peer_address());
  Enter(Phase::kForming, parts_.limits.forming);
  for (size_t rank = 0; rank < members_.size(); ++rank) {
    assign.set_world_rank(static_cast<int32_t>(rank));
    members_[rank].link->Send(message);
  }
  Publish();
}

// Their digests are equal, of samples; a disk or file server may still have given one of them other
// bytes, and its share of every video would be wrong without a word.
absl::Status RankGroup::CheckSameWeights() const {
  const Member& first = members_.front();
  for (const Member& member : members_) {
    const uint32_t sum = member.weights_crc32c;
    if (sum == 0 || first.weights_crc32c == 0 || sum == first.weights_crc32c) continue;
    return MakeError(absl::StatusCode::kUnavailable, kGroupLost,
                     absl::StrCat("rank ", RankName(member.hello), " of group ", name_,
                                  " read other weights than rank ", RankName(first.hello),
                                  ": CRC-32C ", absl::Hex(sum, absl::kZeroPad8), " against ",
                                  absl::Hex(first.weights_crc32c, absl::kZeroPad8)));
  }
  return absl::OkStatus();
}

void RankGroup::OnFormed(Member& member, uint32_t weights_crc32c) {
  if (phase_ != Phase::kForming) return;
  member.reported = true;
  member.weights_crc32c = weights_crc32c;
  if (!AllReported()) return;
  if (const absl::Status same = CheckSameWeights(); !same.ok()) return EndEpoch({.why = same}, "");
  Log(LogLevel::kInfo, "group formed",
      {{"group", name_},
       {"epoch", absl::StrCat(epoch_)},
       {"ranks", absl::StrCat(members_.size())},
       {"model", members_.front().hello.model().name()}});
  parts_.metrics.dispatch_group_formations_total.Increment({name_});
  parts_.costs.SetGroup(name_, members_.front().hello.model().name(), setup());
  Failpoint("group.formed");
  EnterIdle();
}

}  // namespace cogwheel
