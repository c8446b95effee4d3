#include "server/groups/rank_groups.h"

#include <algorithm>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/protocol.h"
#include "proto/contract/status.h"
#include "server/groups/hello.h"

namespace cogwheel {
namespace {

constexpr int kMaxGroups = 64;                  // with ranks in them
constexpr size_t kMaxNames = 256;               // with those that are empty and not forgotten yet
constexpr size_t kMaxHelloBytes = 1024 * 1024;  // of which texts of the model are half
constexpr std::chrono::seconds kHelloLimit{10};
constexpr std::chrono::minutes kForgetAfter{10};

}  // namespace

void RankGroups::LookForStall() {
  const std::chrono::nanoseconds away = stalls_.Turn();
  if (away.count() == 0) return;
  Log(LogLevel::kError, "this server stood still; what that costs is charged to no job",
      {{"seconds", absl::StrCat(std::chrono::duration_cast<std::chrono::seconds>(away).count())}});
  for (auto& [id, rank] : ranks_) rank.joined += away;
  for (const auto& [name, group] : groups_) group->AfterStall(away);
}

void RankGroups::OnJoin(RankId id, std::shared_ptr<RankLink> link) {
  LookForStall();
  ranks_[id] = {std::move(link), parts_.clock.Now(), nullptr};
}

absl::Status RankGroups::Greet(RankId id, Rank& rank, const internal::v1::RankMessage& message) {
  if (!message.has_hello()) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_HELLO",
                     "the first message must be Hello");
  }
  if (message.ByteSizeLong() > kMaxHelloBytes) {
    return MakeError(absl::StatusCode::kInvalidArgument, "BAD_HELLO",
                     absl::StrCat("Hello has ", message.ByteSizeLong(), " bytes; the limit is ",
                                  kMaxHelloBytes));
  }
  const internal::v1::Hello& hello = message.hello();
  const absl::Status legal = CheckHello(hello);
  if (!legal.ok()) return legal;
  const absl::StatusOr<RankGroup*> group = FindOrMake(hello.group());
  if (!group.ok()) return group.status();
  const absl::Status joined = (*group)->Join(id, rank.link, hello);
  if (joined.ok()) rank.group = *group;
  return joined;
}

absl::StatusOr<RankGroup*> RankGroups::FindOrMake(const std::string& name) {
  const auto known = groups_.find(name);
  const bool there = known != groups_.end();
  const auto living = std::ranges::count_if(
      groups_, [](const auto& entry) { return !entry.second->empty_since().has_value(); });
  const bool comes = !there || known->second->empty_since().has_value();
  if ((comes && living >= kMaxGroups) || (!there && groups_.size() >= kMaxNames)) {
    return MakeError(
        absl::StatusCode::kResourceExhausted, "GROUPS",
        absl::StrCat("there are ", living, " groups already; at most ", kMaxGroups, ", and ",
                     kMaxNames, " names in ", kForgetAfter.count(), " minutes"));
  }
  if (there) return known->second.get();
  auto made = std::make_unique<RankGroup>(name, parts_, stalls_);
  return groups_.emplace(name, std::move(made)).first->second.get();
}

void RankGroups::OnMessage(RankId id, const internal::v1::RankMessage& message,
                           const std::shared_ptr<const void>& owner) {
  LookForStall();
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
  LookForStall();
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

void RankGroups::CloseSilent() {
  std::vector<RankId> silent;
  for (const auto& [id, rank] : ranks_) {
    const bool late = parts_.clock.Now() - rank.joined >= kHelloLimit;
    if (rank.group == nullptr && late) silent.push_back(id);
  }
  for (const RankId id : silent) {
    ranks_.at(id).link->Close(absl::DeadlineExceededError("no Hello in time"));
    ranks_.erase(id);
  }
}

void RankGroups::ForgetEmpty() {
  std::erase_if(groups_, [this](const auto& entry) {
    const auto since = entry.second->empty_since();
    const bool forgotten = since.has_value() && parts_.clock.Now() - *since >= kForgetAfter;
    if (forgotten) entry.second->Forget();
    return forgotten;
  });
}

void RankGroups::Tick() {
  LookForStall();
  CloseSilent();
  for (const auto& [name, group] : groups_) group->Tick();
  ForgetEmpty();
}

}  // namespace cogwheel
