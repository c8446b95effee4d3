#include "server/schedule/standing_orders.h"

#include <absl/strings/str_cat.h>

namespace cogwheel {

std::string WhyPaused(const OperatorOrders& orders, const QueuedJob& job) {
  const std::pair<const char*, PauseTarget> targets[] = {
      {"tenant ", {PauseTarget::Kind::kTenant, job.tenant}},
      {"model ", {PauseTarget::Kind::kModel, job.model}}};
  for (const auto& [kind, target] : targets) {
    const auto paused = orders.paused.find(target);
    if (paused == orders.paused.end()) continue;
    const std::string& reason = paused->second;
    return absl::StrCat(kind, target.name, " is paused", reason.empty() ? "" : ": ", reason);
  }
  return "";
}

}  // namespace cogwheel
