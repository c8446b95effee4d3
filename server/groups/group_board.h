#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// How all groups stand, for those outside the dispatcher's thread. Thread-safe.
class GroupBoard {
 public:
  // Called after each Put and Remove, on its thread, with no lock held: health must not lag behind
  // the end of a group. Set before the first Put.
  void OnChange(std::function<void()> changed) { changed_ = std::move(changed); }

  // `model` is what the group serves, if it has ranks.
  void Put(const v1::Group& group, const v1::Model& model = {}) COGWHEEL_EXCLUDES(mutex_);
  void Remove(const std::string& name) COGWHEEL_EXCLUDES(mutex_);
  std::vector<v1::Group> List() const COGWHEEL_EXCLUDES(mutex_);
  std::optional<v1::Group> Find(const std::string& name) const COGWHEEL_EXCLUDES(mutex_);
  // True while ranks of a group have brought the model, whether or not it has formed.
  bool Serves(const std::string& model) const COGWHEEL_EXCLUDES(mutex_);

  // The models of `stored`, each as the ready group that formed last describes it, if one serves
  // it; with what is served now. So a checkpoint is what new requests are checked against from the
  // moment that it can run them, and no longer.
  std::vector<v1::Model> Current(std::vector<v1::Model> stored) const COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Entry {
    v1::Group group;
    v1::Model model;
  };
  std::function<void()> changed_;
  mutable Mutex mutex_;
  std::map<std::string, Entry> groups_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
