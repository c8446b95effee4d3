#include "server/tenant_limits.h"

#include <gtest/gtest.h>

#include "server/settings.h"

namespace cogwheel {
namespace {

using config::v1::AccessPolicy;
using config::v1::ServerConfig;

AccessPolicy::Tenant Tenant(const std::string& name, double weight = 0) {
  AccessPolicy::Tenant tenant;
  tenant.set_name(name);
  tenant.set_weight(weight);
  return tenant;
}

ServerConfig Config() {
  ServerConfig config;
  config.set_max_queued_jobs(10);
  config.set_max_queued_bytes(1000);
  config.set_max_queued_seconds(100);
  config.set_max_kept_jobs(20);
  config.set_max_result_bytes(400);
  config.set_max_streams(8);
  config.set_max_tenant_downloads(3);
  return config;
}

TEST(TenantLimits, OneTenantMayHaveAll) {
  const TenantLimits limits = TenantLimitsOf(Config(), {Tenant("default")});
  const TenantPlaces& places = limits.places.at("default");
  EXPECT_EQ(1, places.share);
  EXPECT_EQ(10, places.most.jobs);
  EXPECT_EQ(1000, places.most.bytes);
  EXPECT_EQ(100, places.most.seconds);
  EXPECT_EQ(20, limits.kept_jobs.tenants.at("default").most);
  EXPECT_EQ(400, limits.kept_bytes.tenants.at("default").share);
  EXPECT_EQ(0, limits.rules.at("default").running_jobs);
  EXPECT_EQ(8, limits.streams.at("default").streams);
}

// Weights 3 and 1, which is what no weight means.
TEST(TenantLimits, SharesGoByWeight) {
  const TenantLimits limits = TenantLimitsOf(Config(), {Tenant("a", 3), Tenant("b")});
  EXPECT_EQ(0.25, limits.places.at("b").share);
  EXPECT_EQ(2, limits.places.at("b").most.jobs);  // of 2.5
  EXPECT_EQ(250, limits.places.at("b").most.bytes);
  EXPECT_EQ(75, limits.places.at("a").most.seconds);
  EXPECT_EQ(20, limits.kept_jobs.total);
  EXPECT_EQ(5, limits.kept_jobs.tenants.at("b").most);
  EXPECT_EQ(300, limits.kept_bytes.tenants.at("a").most);
  EXPECT_EQ(300, limits.kept_bytes.tenants.at("a").share);
  EXPECT_EQ(6, limits.streams.at("a").streams);
  EXPECT_EQ(2, limits.streams.at("b").streams);
  EXPECT_EQ(3, limits.streams.at("b").downloads);
  EXPECT_EQ(3, limits.weights.at("a"));
  EXPECT_EQ(1, limits.weights.at("b"));
}

TEST(TenantLimits, SettingsOfEachTenantBeatSharesAndItsOwnBeatBoth) {
  ServerConfig config = Config();
  config.set_max_tenant_queued_jobs(7);
  config.set_max_tenant_result_bytes(30);
  config.set_max_tenant_running_jobs(2);
  config.set_max_tenant_gpu_seconds(3600);
  AccessPolicy::Tenant own = Tenant("a");
  own.set_max_queued_jobs(9);
  own.set_max_result_bytes(40);
  own.set_max_running_jobs(5);
  own.set_max_gpu_seconds(60);
  const TenantLimits limits = TenantLimitsOf(config, {own, Tenant("b")});
  EXPECT_EQ(9, limits.places.at("a").most.jobs);
  EXPECT_EQ(7, limits.places.at("b").most.jobs);
  EXPECT_EQ(0.5,
            limits.places.at("a").share);  // beyond it there is room only while others leave it
  EXPECT_EQ(40, limits.kept_bytes.tenants.at("a").most);
  EXPECT_EQ(30, limits.kept_bytes.tenants.at("b").most);
  EXPECT_EQ(200, limits.kept_bytes.tenants.at("a").share);
  EXPECT_EQ(5, limits.rules.at("a").running_jobs);
  EXPECT_EQ(2, limits.rules.at("b").running_jobs);
  EXPECT_EQ(60, limits.rules.at("a").gpu_seconds);
  EXPECT_EQ(3600, limits.rules.at("b").gpu_seconds);
}

// 100 tenants may share 10 places.
TEST(TenantLimits, EverybodyMayHaveOne) {
  const TenantLimits limits = TenantLimitsOf(Config(), {Tenant("a", 1000), Tenant("b")});
  EXPECT_EQ(1, limits.places.at("b").most.jobs);
  EXPECT_EQ(1, limits.kept_jobs.tenants.at("b").most);
}

}  // namespace
}  // namespace cogwheel
