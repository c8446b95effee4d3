#include "server/api/readiness.h"

#include <algorithm>
#include <set>

#include <grpcpp/health_check_service_interface.h>

namespace cogwheel {
namespace {

constexpr char kVideoService[] = "cogwheel.v1.VideoService";
constexpr char kOperateService[] = "cogwheel.v1.OperateService";

bool IsFormed(const v1::Group& group) {
  return group.ready() &&
         std::none_of(group.ranks().begin(), group.ranks().end(),
                      [](const v1::Rank& rank) { return rank.state() == v1::RANK_SUSPECT; });
}

}  // namespace

bool Readiness::Serves(const v1::Group& group) const {
  const auto orders = orders_.Now();
  return IsFormed(group) && !orders->drained.contains(group.name()) &&
         !orders->paused.contains({PauseTarget::Kind::kModel, group.model()});
}

void Readiness::Serve(grpc::HealthCheckServiceInterface* health) {
  {
    MutexLock lock(mutex_);
    health_ = health;
  }
  Update();
}

std::string Readiness::ReasonNow() const {
  if (draining_) return "draining";
  const std::vector<v1::Group> groups = board_.List();
  if (std::none_of(groups.begin(), groups.end(), IsFormed)) return "no group is formed";
  const auto serves = [this](const v1::Group& group) { return Serves(group); };
  if (std::none_of(groups.begin(), groups.end(), serves)) {
    return "all groups are drained or their models paused";
  }
  return ledger_.HasRoom() ? "" : "the queue is full";
}

std::string Readiness::Reason() const {
  MutexLock lock(mutex_);
  return ReasonNow();
}

void Readiness::Set(const std::string& service, bool serving) {
  const auto told = told_.find(service);
  if (told != told_.end() && told->second == serving) return;
  told_[service] = serving;
  if (health_ != nullptr) health_->SetServingStatus(service, serving);
}

void Readiness::Update() {
  MutexLock lock(mutex_);
  if (health_ == nullptr) return;
  const bool serving = ReasonNow().empty();
  Set("", serving);
  Set(kVideoService, serving);
  Set(kOperateService, !draining_);
  std::set<std::string> names = {"", kVideoService, kOperateService};
  for (const v1::Group& group : board_.List()) {
    names.insert(group.name());
    Set(group.name(), Serves(group) && !draining_);
  }
  for (auto told = told_.begin(); told != told_.end();) {  // groups that are forgotten
    const std::string name = (told++)->first;
    if (names.contains(name)) continue;
    Set(name, false);
    told_.erase(name);
  }
  metrics_.ready.Set(serving ? 1 : 0);
}

void Readiness::Drain() {
  {
    MutexLock lock(mutex_);
    draining_ = true;
  }
  metrics_.draining.Set(1);
  Update();
}

}  // namespace cogwheel
