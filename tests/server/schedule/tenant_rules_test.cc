#include "server/schedule/tenant_rules.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <prometheus/registry.h>

namespace cogwheel {
namespace {

class TenantRulesTest : public testing::Test {
 protected:
  // Of the series with these label values, by the labels' names; -1 when there is none.
  double Shown(const std::string& name, const std::vector<std::string>& values) {
    for (const auto& family : metrics_.registry->Collect()) {
      if (family.name != "cogwheel_queue_tenant_" + name) continue;
      for (const auto& metric : family.metric) {
        std::vector<std::string> found;
        for (const auto& label : metric.label) found.push_back(label.value);
        if (found == values) return metric.gauge.value + metric.counter.value;
      }
    }
    return -1;
  }

  std::string Holds(const std::string& tenant, int64_t running_jobs) const {
    const auto hold = rules_.Holds(tenant, running_jobs);
    return hold.has_value() ? hold->words : "";
  }

  ServerMetrics metrics_{MakeRegistry()};
  TenantRules rules_{metrics_};
};

TEST_F(TenantRulesTest, WhoHasNoLimitNeverWaits) {
  rules_.SetLimits({{"a", {}}}, 24);
  rules_.Use("a", 1e9);
  EXPECT_EQ("", Holds("a", 1000));
  EXPECT_EQ("", Holds("not named", 1000));
}

TEST_F(TenantRulesTest, SoManyJobsRunAtOnce) {
  rules_.SetLimits({{"a", {.running_jobs = 2}}}, 24);
  EXPECT_EQ("", Holds("a", 1));
  EXPECT_EQ("tenant a runs 2 jobs; its limit is 2", Holds("a", 2));
  EXPECT_EQ("", Holds("b", 2));
}

TEST_F(TenantRulesTest, AQuotaHoldsUntilTheWindowHasMoved) {
  rules_.SetLimits({{"a", {.gpu_seconds = 100}}}, 24);
  rules_.SetUsed({{"a", 60}, {"b", 1000}});
  EXPECT_EQ("", Holds("a", 9));
  rules_.Use("a", 40);
  EXPECT_EQ("tenant a has used 100 of its 100 GPU seconds within 24 h", Holds("a", 0));
  EXPECT_EQ("", Holds("b", 0));
  rules_.SetUsed({{"a", 99.5}});  // an hour later
  EXPECT_EQ("", Holds("a", 0));
}

TEST_F(TenantRulesTest, MetricsTellOfUseLimitsAndEachTimeThatATenantBeganToWait) {
  rules_.SetLimits({{"a", {.running_jobs = 1, .gpu_seconds = 100}}, {"b", {}}}, 24);
  EXPECT_EQ(100, Shown("quota_gpu_seconds", {"a"}));
  EXPECT_EQ(-1, Shown("quota_gpu_seconds", {"b"}));
  rules_.Use("a", 2.5);
  rules_.Use("a", 2);
  EXPECT_EQ(4.5, Shown("gpu_seconds_total", {"a"}));
  const TenantRules::Held held = {{"a", "running_jobs"}};
  for (const auto& each : {held, held, TenantRules::Held(), held}) rules_.Count(each);
  EXPECT_EQ(2, Shown("throttled_total", {"running_jobs", "a"}));
  rules_.SetLimits({}, 24);
  EXPECT_EQ(-1, Shown("quota_gpu_seconds", {"a"}));
}

}  // namespace
}  // namespace cogwheel
