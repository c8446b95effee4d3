#include "worker/rank/job_mailbox.h"

namespace cogwheel {

absl::Status JobMailbox::Push(Order order) {
  {
    const MutexLock lock(mutex_);
    if (closed_) return absl::CancelledError("the mailbox is closed");
    if (orders_.size() >= capacity_) {
      return absl::ResourceExhaustedError("the mailbox holds " + std::to_string(capacity_) +
                                          " orders already");
    }
    orders_.push_back(std::move(order));
  }
  changed_.NotifyAll();
  return absl::OkStatus();
}

absl::StatusOr<Order> JobMailbox::Pop(std::chrono::nanoseconds limit) {
  const MutexLock lock(mutex_);
  changed_.WaitFor(mutex_, limit,
                   [this]() COGWHEEL_REQUIRES(mutex_) { return closed_ || !orders_.empty(); });
  if (orders_.empty()) {
    return closed_ ? absl::CancelledError("the mailbox is closed")
                   : absl::DeadlineExceededError("no order");
  }
  Order order = std::move(orders_.front());
  orders_.pop_front();
  return order;
}

void JobMailbox::Close() {
  {
    const MutexLock lock(mutex_);
    closed_ = true;
  }
  changed_.NotifyAll();
}

}  // namespace cogwheel
