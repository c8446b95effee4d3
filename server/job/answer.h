#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/mutex.h"

// How asynchronous calls answer.
namespace cogwheel {

// Called exactly once, from any thread, perhaps before the call that it was given to returns. It
// must not wait: it hands over what it got.
template <typename Value>
using Answer = std::function<void(absl::StatusOr<Value>)>;
using Done = std::function<void(absl::Status)>;

// The answer of `call`, waited for: at start, when nothing else goes on, and in tests.
// DEADLINE_EXCEEDED after `limit`.
template <typename Result>
Result Await(const std::function<void(std::function<void(Result)>)>& call,
             std::chrono::seconds limit = std::chrono::seconds(60)) {
  struct Waiting {
    Mutex mutex;
    CondVar answered;
    std::optional<Result> answer COGWHEEL_GUARDED_BY(mutex);
  };
  const auto waiting = std::make_shared<Waiting>();  // an answer may come after the limit
  call([waiting](Result answer) {
    MutexLock lock(waiting->mutex);
    waiting->answer = std::move(answer);
    waiting->answered.NotifyAll();
  });
  Waiting& all = *waiting;
  MutexLock lock(all.mutex);
  const bool came = all.answered.WaitFor(
      all.mutex, limit, [&all]() COGWHEEL_REQUIRES(all.mutex) { return all.answer.has_value(); });
  return came ? *std::move(all.answer) : Result(absl::DeadlineExceededError("no answer in time"));
}

}  // namespace cogwheel
