#include "server/tenant_limits.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace cogwheel {
namespace {

using config::v1::AccessPolicy;
using config::v1::ServerConfig;

double WeightOf(const AccessPolicy::Tenant& tenant) {
  return tenant.weight() > 0 ? tenant.weight() : 1;
}

// 0 is not given, in the access file and in the settings of one tenant.
int64_t Limit(int64_t own, int64_t of_each, double share) {
  if (own > 0) return own;
  if (of_each > 0) return of_each;
  return std::max<int64_t>(static_cast<int64_t>(std::floor(share)), 1);
}

TenantPlaces PlacesOf(const ServerConfig& config, const AccessPolicy::Tenant& tenant,
                      double share) {
  const QueueAmount all = QueueLimitsOf(config);
  TenantPlaces places;
  places.share = share;
  places.most.jobs =
      Limit(tenant.max_queued_jobs(), config.max_tenant_queued_jobs(), share * all.jobs);
  places.most.bytes =
      Limit(tenant.max_queued_bytes(), config.max_tenant_queued_bytes(), share * all.bytes);
  places.most.seconds = static_cast<double>(
      Limit(tenant.max_queued_seconds(), config.max_tenant_queued_seconds(), share * all.seconds));
  return places;
}

}  // namespace

QueueAmount QueueLimitsOf(const ServerConfig& config) {
  return {config.max_queued_jobs(), config.max_queued_bytes(),
          static_cast<double>(config.max_queued_seconds())};
}

TenantLimits TenantLimitsOf(const ServerConfig& config,
                            const std::vector<AccessPolicy::Tenant>& tenants) {
  TenantLimits limits;
  limits.kept_jobs.total = config.max_kept_jobs();
  limits.kept_bytes.total = config.max_result_bytes();
  double weights = 0;
  for (const AccessPolicy::Tenant& tenant : tenants) weights += WeightOf(tenant);
  for (const AccessPolicy::Tenant& tenant : tenants) {
    const std::string& name = tenant.name();
    const double share = WeightOf(tenant) / weights;
    const double jobs = share * config.max_kept_jobs(), bytes = share * config.max_result_bytes();
    limits.weights[name] = WeightOf(tenant);
    limits.places[name] = PlacesOf(config, tenant, share);
    limits.kept_jobs.tenants[name] = {
        Limit(tenant.max_kept_jobs(), config.max_tenant_kept_jobs(), jobs), jobs};
    limits.kept_bytes.tenants[name] = {
        Limit(tenant.max_result_bytes(), config.max_tenant_result_bytes(), bytes), bytes};
    limits.streams[name] = {
        static_cast<int>(
            Limit(tenant.max_streams(), config.max_tenant_streams(), share * config.max_streams())),
        tenant.max_downloads() > 0 ? tenant.max_downloads() : config.max_tenant_downloads()};
    limits.rules[name] = {
        tenant.max_running_jobs() > 0 ? tenant.max_running_jobs()
                                      : config.max_tenant_running_jobs(),
        static_cast<double>(tenant.max_gpu_seconds() > 0 ? tenant.max_gpu_seconds()
                                                         : config.max_tenant_gpu_seconds())};
  }
  return limits;
}

}  // namespace cogwheel
