#include "server/groups/rank_member.h"

namespace cogwheel {

v1::Rank DescribeRank(const RankMember& member, int world_rank) {
  v1::Rank rank;
  rank.set_world_rank(world_rank);
  rank.set_host(member.hello.host());
  rank.set_device(member.hello.device());
  rank.set_version(member.hello.code_version());
  return rank;
}

}  // namespace cogwheel
