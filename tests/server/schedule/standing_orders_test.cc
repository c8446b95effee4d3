#include "server/schedule/standing_orders.h"

#include <string>

#include <gtest/gtest.h>

#include "server/schedule/placement.h"

namespace cogwheel {
namespace {

using Kind = PauseTarget::Kind;

class StandingOrdersTest : public testing::Test {
 protected:
  Placement Groups() const {
    Placement placement(costs_, orders_.Now(), rules_);
    placement.AddIdle({.name = "a", .model = "m"});
    placement.AddIdle({.name = "b", .model = "m"});
    return placement;
  }
  static QueuedJob JobOf(const std::string& tenant) {
    return {.name = "jobs/1", .model = "m", .tenant = tenant};
  }

  CostModel costs_;
  StandingOrders orders_;
  ServerMetrics metrics_{MakeRegistry()};
  const TenantRules rules_{metrics_};
};

TEST_F(StandingOrdersTest, ADrainedGroupGetsNoJob) {
  orders_.Apply([](OperatorOrders& orders) { orders.drained = {"a"}; });
  Placement placement = Groups();
  EXPECT_EQ("b", placement.Take(JobOf("t"))->group);
  EXPECT_FALSE(placement.Take(JobOf("t"))->now);  // behind the first on b
  EXPECT_EQ("", placement.Lacking(JobOf("t")));
}

TEST_F(StandingOrdersTest, AJobKnowsThatOnlyDrainedGroupsCouldRunIt) {
  orders_.Apply([](OperatorOrders& orders) { orders.drained = {"a", "b", "elsewhere"}; });
  Placement placement = Groups();
  EXPECT_FALSE(placement.Take(JobOf("t")).has_value());
  EXPECT_EQ("an operator has drained a and b, and no other group can run it",
            placement.Lacking(JobOf("t")));
}

TEST_F(StandingOrdersTest, PausedJobsWaitAndSayWhy) {
  orders_.Apply([](OperatorOrders& orders) {
    orders.paused[{Kind::kTenant, "late"}] = "unpaid";
    orders.paused[{Kind::kModel, "late"}] = "another thing of the same name";
  });
  Placement placement = Groups();
  EXPECT_FALSE(placement.Take(JobOf("late")).has_value());
  EXPECT_EQ("tenant late is paused: unpaid", placement.Lacking(JobOf("late")));
  EXPECT_TRUE(placement.Take(JobOf("t"))->now);
  orders_.Apply([](OperatorOrders& orders) { orders.paused = {{{Kind::kModel, "m"}, ""}}; });
  EXPECT_FALSE(Groups().Take(JobOf("t")).has_value());
  EXPECT_EQ("model m is paused", Groups().Lacking(JobOf("t")));
}

TEST_F(StandingOrdersTest, APlanGoesByTheOrdersOfItsMoment) {
  Placement placement = Groups();
  orders_.Apply([](OperatorOrders& orders) { orders.drained = {"a", "b"}; });
  EXPECT_TRUE(placement.Take(JobOf("t")).has_value());
  EXPECT_FALSE(Groups().Take(JobOf("t")).has_value());
}

}  // namespace
}  // namespace cogwheel
