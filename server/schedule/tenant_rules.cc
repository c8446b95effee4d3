#include "server/schedule/tenant_rules.h"

#include <cmath>
#include <utility>

#include <absl/strings/str_cat.h>

namespace cogwheel {

void TenantRules::SetLimits(std::map<std::string, Limits> limits, int window_hours) {
  for (const auto& [tenant, former] : limits_)
    metrics_.queue_tenant_quota_gpu_seconds.Remove({tenant});
  for (const auto& [tenant, own] : limits) {
    if (own.gpu_seconds > 0) {
      metrics_.queue_tenant_quota_gpu_seconds.Set(own.gpu_seconds, {tenant});
    }
  }
  limits_ = std::move(limits);
  window_hours_ = window_hours;
}

void TenantRules::Use(const std::string& tenant, double gpu_seconds) {
  used_[tenant] += gpu_seconds;
  metrics_.queue_tenant_gpu_seconds_total.Increment({tenant}, gpu_seconds);
}

std::optional<TenantRules::Hold> TenantRules::Holds(const std::string& tenant,
                                                    int64_t running_jobs) const {
  const auto named = limits_.find(tenant);
  if (named == limits_.end()) return std::nullopt;
  const Limits& own = named->second;
  const auto found = used_.find(tenant);
  const double used = found == used_.end() ? 0 : found->second;
  if (own.gpu_seconds > 0 && used >= own.gpu_seconds) {
    return Hold{"gpu_seconds", absl::StrCat("tenant ", tenant, " has used ", std::llround(used),
                                            " of its ", std::llround(own.gpu_seconds),
                                            " GPU seconds within ", window_hours_, " h")};
  }
  if (own.running_jobs == 0 || running_jobs < own.running_jobs) return std::nullopt;
  return Hold{"running_jobs", absl::StrCat("tenant ", tenant, " runs ", running_jobs,
                                           " jobs; its limit is ", own.running_jobs)};
}

void TenantRules::Count(Held held) {
  for (const auto& each : held) {
    if (held_.contains(each)) continue;
    metrics_.queue_tenant_throttled_total.Increment({each.first, each.second});
  }
  held_ = std::move(held);
}

}  // namespace cogwheel
