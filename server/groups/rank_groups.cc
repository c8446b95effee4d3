#include "server/groups/rank_groups.h"

#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/membership.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxGroups = 64;
constexpr std::chrono::seconds kHelloLimit{10};

}  // namespace

void RankGroups::OnJoin(RankId id, std::shared_ptr<RankLink> link) {
  ranks_[id] = {std::move(link), parts_.clock.Now(), nullptr};
}

absl::Status RankGroups::Greet(RankId id, Rank& rank, const internal::v1::RankMessage& message) {
  if (!message.has_hello()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_HELLO",
                     "the first message must be Hello");
  }
  const internal::v1::Hello& hello = message.hello();
  const absl::Status legal = CheckHello(hello);
  if (!legal.ok()) return legal;
  auto group = groups_.find(hello.group());
  if (group == groups_.end()) {
    if (groups_.size() >= kMaxGroups) {
      return MakeError(absl::StatusCode::kResourceExhausted, "GROUPS",
                       absl::StrCat("there are ", kMaxGroups, " groups already"));
    }
    group =
        groups_.emplace(hello.group(), std::make_unique<RankGroup>(hello.group(), parts_)).first;
  }
  const absl::Status joined = group->second->Join(id, rank.link, hello);
  if (joined.ok()) rank.group = group->second.get();
  return joined;
}

void RankGroups::OnMessage(RankId id, const internal::v1::RankMessage& message,
                           const std::shared_ptr<const void>& owner) {
  const auto found = ranks_.find(id);
  if (found == ranks_.end()) return;
  Rank& rank = found->second;
  if (rank.group != nullptr) return rank.group->OnMessage(id, message, owner);
  const absl::Status greeted = Greet(id, rank, message);
  if (greeted.ok()) return;
  Log(LogLevel::kWarning, "rank refused", {{"error", std::string(greeted.message())}});
  rank.link->Close(greeted);
  ranks_.erase(found);
}

void RankGroups::OnGone(RankId id) {
  const auto found = ranks_.find(id);
  if (found == ranks_.end()) return;
  RankGroup* group = found->second.group;
  ranks_.erase(found);
  if (group != nullptr) {
    group->OnGone(id, MakeError(absl::StatusCode::kUnavailable, kRankGone, "its connection ended"));
  }
}

void RankGroups::CloseAll(const absl::Status& why) {
  for (const auto& [id, rank] : ranks_) rank.link->Close(why);
  ranks_.clear();
}

void RankGroups::Tick() {
  std::vector<RankId> silent;
  for (const auto& [id, rank] : ranks_) {
    const bool late = parts_.clock.Now() - rank.joined >= kHelloLimit;
    if (rank.group == nullptr && late) silent.push_back(id);
  }
  for (const RankId id : silent) {
    ranks_.at(id).link->Close(absl::DeadlineExceededError("no Hello in time"));
    ranks_.erase(id);
  }
  for (const auto& [name, group] : groups_) group->Tick();
}

}  // namespace cogwheel
