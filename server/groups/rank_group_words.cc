#include <utility>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/groups/membership.h"
#include "server/groups/rank_group.h"
#include "server/groups/rank_messages.h"

// Words that one side has and the other does not: ranks and frontends of different releases.
namespace cogwheel {

// An offered job that a rank cannot even read is refused alone, and at once.
void RankGroup::OnNotUnderstood(Member& member, const internal::v1::NotUnderstood& answer) {
  const std::string why =
      absl::StrCat("a rank of group ", name_, " speaks protocol ", answer.protocol(),
                   " and does not know message ", answer.field(), ": update cogwheel-worker");
  const bool of_the_offer = phase_ == Phase::kOffered && answer.job_sequence() == job_sequence_;
  if (of_the_offer || !std::exchange(member.strange, true)) {
    Log(LogLevel::kError, "rank does not understand",
        {{"group", name_}, {"rank", RankName(member.hello)}, {"job", job_}, {"why", why}});
  }
  if (!of_the_offer || member.reported) return;
  member.reported = true;
  member.answer = MakeError(absl::StatusCode::kUnimplemented, "NOT_UNDERSTOOD", why);
  if (AllReported()) StartOrDrop();
}

// Dropped and counted; logged once a rank.
void RankGroup::OnStrange(Member& member, const internal::v1::RankMessage& message,
                          const std::string& what) {
  parts_.metrics.dispatch_fenced_messages_total.Increment({name_, KindOf(message)});
  if (std::exchange(member.strange, true)) return;
  Log(LogLevel::kError, "dropped what a rank says",
      {{"group", name_},
       {"rank", RankName(member.hello)},
       {"message", KindOf(message)},
       {"unknown_field", absl::StrCat(UnknownKind(message))},
       {"why", what}});
}

}  // namespace cogwheel
