#include "server/groups/rank_member.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "server/groups/membership.h"

namespace cogwheel {

std::string DescribeStand(const std::vector<RankMember>& members) {
  return absl::StrJoin(members, "; ", [](std::string* out, const RankMember& member) {
    absl::StrAppend(out, RankName(member.hello), " job ", member.beat.job_sequence(), ", exchange ",
                    member.beat.collectives());
  });
}

v1::Rank DescribeRank(const RankMember& member, int world_rank) {
  v1::Rank rank;
  rank.set_world_rank(world_rank);
  rank.set_host(member.hello.host());
  rank.set_device(member.hello.device());
  rank.set_version(member.hello.code_version());
  return rank;
}

}  // namespace cogwheel
