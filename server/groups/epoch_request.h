#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

#include <absl/status/statusor.h>

#include "base/clock.h"
#include "cogwheel/v1/video_service.pb.h"
#include "server/job/job_store.h"

namespace cogwheel {

// Runs a task on the dispatcher's thread. Thread-safe; what comes after that thread's end is
// dropped.
using PostTask = std::function<void(std::function<void()>)>;

// Asks the store for a group's next epoch, again and again until it has one: that a store fails is
// no reason to send ranks away. Owned by the dispatcher's thread.
class EpochRequest {
 public:
  EpochRequest(JobStore& store, const Clock& clock, PostTask post);

  // `got` is called once with a number that no group has had, unless Drop comes before.
  void Begin(const v1::Model& model, std::function<void(int64_t)> got);
  void Drop();
  void Tick();

 private:
  using Time = std::chrono::steady_clock::time_point;
  void Ask();
  void OnAnswer(const absl::StatusOr<int64_t>& epoch);

  JobStore& store_;
  const Clock& clock_;
  const PostTask post_;
  v1::Model model_;
  std::function<void(int64_t)> got_;
  Time ask_again_ = Time::max();
  int failures_ = 0;  // in a row
  // Number of the question whose answer counts. Shared with those under way: the store may answer
  // when another was asked, or when the group is gone.
  const std::shared_ptr<int64_t> asked_ = std::make_shared<int64_t>(0);
};

}  // namespace cogwheel
