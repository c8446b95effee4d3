#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "server/groups/rank_group.h"

namespace cogwheel {

// All groups, by name: brings each rank to its group, and forgets groups that stay empty. Owned by
// the dispatcher's thread.
class RankGroups {
 public:
  explicit RankGroups(const RankGroup::Parts& parts)
      : parts_(parts), stalls_(parts.clock, parts.limits.suspect) {}

  void OnJoin(RankId id, std::shared_ptr<RankLink> link);
  // The first message must be Hello.
  // `owner` keeps the message for those who hold on to bytes of it.
  void OnMessage(RankId id, const internal::v1::RankMessage& message,
                 const std::shared_ptr<const void>& owner = nullptr);
  void OnGone(RankId id);
  void Tick();
  // The frontend leaves: ranks look for it again for a while.
  void CloseAll(const absl::Status& why);

 private:
  struct Rank {
    std::shared_ptr<RankLink> link;
    std::chrono::steady_clock::time_point joined;
    RankGroup* group = nullptr;  // none before Hello
  };
  // First of all, whatever comes: what follows is judged by it.
  void LookForStall();
  absl::Status Greet(RankId id, Rank& rank, const internal::v1::RankMessage& message);
  absl::StatusOr<RankGroup*> FindOrMake(const std::string& name);
  void CloseSilent();
  void ForgetEmpty();

  const RankGroup::Parts parts_;
  StallWatch stalls_;
  std::map<RankId, Rank> ranks_;
  std::map<std::string, std::unique_ptr<RankGroup>> groups_;
};

}  // namespace cogwheel
