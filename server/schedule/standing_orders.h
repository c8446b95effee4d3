#pragma once

#include <memory>
#include <string>
#include <utility>

#include "base/mutex.h"
#include "server/job/operate_store.h"
#include "server/schedule/queued_job.h"

namespace cogwheel {

// Why the job does not start, in words; "" when neither its tenant nor its model is paused.
std::string WhyPaused(const OperatorOrders& orders, const QueuedJob& job);

// What operators want, as the store has it. Thread-safe.
class StandingOrders {
 public:
  // As it stands at this moment.
  std::shared_ptr<const OperatorOrders> Now() const COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    return orders_;
  }
  // What the store answered, in its order.
  template <typename Change>
  void Apply(const Change& change) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    auto changed = std::make_shared<OperatorOrders>(*orders_);
    change(*changed);
    orders_ = std::move(changed);
  }

 private:
  mutable Mutex mutex_;
  std::shared_ptr<const OperatorOrders> orders_ COGWHEEL_GUARDED_BY(mutex_) =
      std::make_shared<OperatorOrders>();
};

}  // namespace cogwheel
