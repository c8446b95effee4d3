#include "worker/rank/guard.h"

#include <exception>

namespace cogwheel {

absl::Status Guard(const std::function<void()>& work) {
  try {
    work();
    return absl::OkStatus();
  } catch (...) {
    return ToStatus(DescribeFailure(std::current_exception()));
  }
}

}  // namespace cogwheel
