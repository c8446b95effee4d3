#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// How all groups stand, for those outside the dispatcher's thread. Thread-safe.
class GroupBoard {
 public:
  // Called after each Put, on its thread, with no lock held: health must not lag behind the end of
  // a group. Set before the first Put.
  void OnChange(std::function<void()> changed) { changed_ = std::move(changed); }

  void Put(const v1::Group& group) COGWHEEL_EXCLUDES(mutex_) {
    {
      MutexLock lock(mutex_);
      groups_[group.name()] = group;
    }
    if (changed_) changed_();
  }
  std::vector<v1::Group> List() const COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    std::vector<v1::Group> groups;
    for (const auto& [name, group] : groups_) groups.push_back(group);
    return groups;
  }
  std::optional<v1::Group> Find(const std::string& name) const COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    const auto found = groups_.find(name);
    if (found == groups_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::function<void()> changed_;
  mutable Mutex mutex_;
  std::map<std::string, v1::Group> groups_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
