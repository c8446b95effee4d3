#include "server/job/retention.h"

#include <limits>
#include <tuple>

namespace cogwheel {
namespace {

double ShareOf(const KeepLimit& limit, const std::string& tenant) {
  const auto named = limit.tenants.find(tenant);
  return named == limit.tenants.end() ? 0 : named->second.share;
}

}  // namespace

std::optional<std::string> WhoLoses(const KeepLimit& limit,
                                    const std::map<std::string, int64_t>& kept) {
  int64_t sum = 0;
  for (const auto& [tenant, has] : kept) {
    const auto named = limit.tenants.find(tenant);
    if (named != limit.tenants.end() && has > named->second.most) return tenant;
    sum += has;
  }
  if (sum <= limit.total) return std::nullopt;
  const std::string* furthest = nullptr;
  std::tuple<double, int64_t> most{0, 0};  // shares that it has, and how much that is
  for (const auto& [tenant, has] : kept) {
    if (has == 0) continue;
    const double share = ShareOf(limit, tenant);
    const double shares =
        share > 0 ? static_cast<double>(has) / share : std::numeric_limits<double>::infinity();
    const std::tuple<double, int64_t> over{shares, has};
    if (furthest != nullptr && over <= most) continue;
    furthest = &tenant;
    most = over;
  }
  return *furthest;
}

}  // namespace cogwheel
