#include "server/groups/group_board.h"

#include <algorithm>
#include <set>
#include <utility>

namespace cogwheel {

void GroupBoard::Put(const v1::Group& group, const v1::Model& model) {
  {
    MutexLock lock(mutex_);
    groups_[group.name()] = {group, model};
  }
  if (changed_) changed_();
}

void GroupBoard::Remove(const std::string& name) {
  {
    MutexLock lock(mutex_);
    groups_.erase(name);
  }
  if (changed_) changed_();
}

std::vector<v1::Group> GroupBoard::List() const {
  MutexLock lock(mutex_);
  std::vector<v1::Group> groups;
  for (const auto& [name, entry] : groups_) groups.push_back(entry.group);
  return groups;
}

std::optional<v1::Group> GroupBoard::Find(const std::string& name) const {
  MutexLock lock(mutex_);
  const auto found = groups_.find(name);
  if (found == groups_.end()) return std::nullopt;
  return found->second.group;
}

bool GroupBoard::Serves(const std::string& model) const {
  MutexLock lock(mutex_);
  return std::any_of(groups_.begin(), groups_.end(),
                     [&model](const auto& named) { return named.second.model.name() == model; });
}

std::vector<v1::Model> GroupBoard::Current(std::vector<v1::Model> stored) const {
  MutexLock lock(mutex_);
  for (v1::Model& model : stored) {
    const Entry* newest = nullptr;
    std::set<std::string> digests;
    for (const auto& [name, entry] : groups_) {
      if (!entry.group.ready() || entry.model.name() != model.name()) continue;
      if (!entry.model.digest().empty()) digests.insert(entry.model.digest());
      if (newest == nullptr || entry.group.epoch() > newest->group.epoch()) newest = &entry;
    }
    if (newest == nullptr) continue;
    model = newest->model;
    model.set_ready(true);
    for (const std::string& digest : digests) model.add_serving_digests(digest);
  }
  return stored;
}

}  // namespace cogwheel
