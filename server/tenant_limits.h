#pragma once

#include <map>
#include <string>
#include <vector>

#include "cogwheel/config/v1/config.pb.h"
#include "server/job/retention.h"
#include "server/schedule/admission.h"
#include "server/schedule/tenant_rules.h"
#include "server/streams/stream_registry.h"

namespace cogwheel {

// What each tenant may have: its own limit of the access file, else the server's setting of one
// tenant, else its share, which is the total times its weight over the sum of all weights.
struct TenantLimits {
  std::map<std::string, double> weights;
  std::map<std::string, TenantPlaces> places;
  std::map<std::string, TenantRules::Limits> rules;
  KeepLimit kept_jobs, kept_bytes;
  std::map<std::string, StreamRegistry::TenantLimits> streams;
};

TenantLimits TenantLimitsOf(const config::v1::ServerConfig& config,
                            const std::vector<config::v1::AccessPolicy::Tenant>& tenants);
// Of all tenants together.
QueueAmount QueueLimitsOf(const config::v1::ServerConfig& config);

}  // namespace cogwheel
