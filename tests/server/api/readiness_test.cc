#include "server/api/readiness.h"

#include <map>
#include <string>

#include <grpcpp/health_check_service_interface.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

class HealthRecord final : public grpc::HealthCheckServiceInterface {
 public:
  void SetServingStatus(const std::string& service, bool serving) override {
    told[service] = serving;
  }
  void SetServingStatus(bool serving) override {
    for (auto& [service, told_serving] : told) told_serving = serving;
  }
  void Shutdown() override {}

  std::map<std::string, bool> told;
};

class ReadinessTest : public testing::Test {
 protected:
  void Put(const std::string& name, bool ready, v1::RankState state) {
    v1::Group group;
    group.set_name(name);
    group.set_ready(ready);
    group.add_ranks()->set_state(v1::RANK_READY);
    group.add_ranks()->set_state(state);
    board_.Put(group);
    readiness_.Update();
  }
  using Told = std::map<std::string, bool>;
  // What was told but of OperateService, which serves whatever the groups do.
  Told AboutJobs() const {
    Told told = health_.told;
    EXPECT_EQ(1, told.erase("cogwheel.v1.OperateService"));
    return told;
  }

  GroupBoard board_;
  AdmissionLedger ledger_{{.jobs = 1, .bytes = 1 << 20, .seconds = 86'400}};
  ServerMetrics metrics_{MakeRegistry()};
  HealthRecord health_;
  StandingOrders orders_;
  Readiness readiness_{board_, ledger_, orders_, metrics_};
};

TEST_F(ReadinessTest, ServesWhileAFormedGroupHasNoSuspectRank) {
  readiness_.Serve(&health_);
  EXPECT_EQ("no group is formed", readiness_.Reason());
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}}), AboutJobs());
  Put("g", /*ready=*/true, v1::RANK_BUSY);
  EXPECT_EQ("", readiness_.Reason());
  EXPECT_EQ((Told{{"", true}, {"cogwheel.v1.VideoService", true}, {"g", true}}), AboutJobs());
  Put("g", /*ready=*/true, v1::RANK_SUSPECT);
  EXPECT_EQ("no group is formed", readiness_.Reason());
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}, {"g", false}}), AboutJobs());
  Put("h", /*ready=*/true, v1::RANK_READY);  // one is enough
  EXPECT_EQ((Told{{"", true}, {"cogwheel.v1.VideoService", true}, {"g", false}, {"h", true}}),
            AboutJobs());
}

TEST_F(ReadinessTest, AForgottenGroupServesNoLonger) {
  readiness_.Serve(&health_);
  Put("g", /*ready=*/true, v1::RANK_READY);
  board_.Remove("g");
  readiness_.Update();
  EXPECT_FALSE(health_.told.at("g"));
  health_.told.clear();
  readiness_.Update();
  EXPECT_FALSE(health_.told.contains("g"));
}

TEST_F(ReadinessTest, AFullQueueAndADrainSayNo) {
  readiness_.Serve(&health_);
  Put("g", /*ready=*/true, v1::RANK_READY);
  ledger_.Take("jobs/1", {});
  readiness_.Update();
  EXPECT_EQ("the queue is full", readiness_.Reason());
  EXPECT_FALSE(health_.told.at(""));
  EXPECT_TRUE(health_.told.at("g"));  // the group itself has nothing against it
  ledger_.Release("jobs/1");
  readiness_.Update();
  EXPECT_TRUE(health_.told.at(""));
  readiness_.Drain();
  EXPECT_EQ("draining", readiness_.Reason());
  EXPECT_FALSE(health_.told.at("cogwheel.v1.OperateService"));
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}, {"g", false}}), AboutJobs());
}

TEST_F(ReadinessTest, DrainedGroupsAndPausedModelsSayNo) {
  readiness_.Serve(&health_);
  EXPECT_TRUE(health_.told.at("cogwheel.v1.OperateService"));
  Put("g", /*ready=*/true, v1::RANK_READY);
  orders_.Apply([](OperatorOrders& orders) { orders.drained.insert("g"); });
  readiness_.Update();
  EXPECT_EQ("all groups are drained or their models paused", readiness_.Reason());
  EXPECT_FALSE(health_.told.at("g"));
  Put("h", /*ready=*/true, v1::RANK_READY);
  EXPECT_EQ("", readiness_.Reason());
  orders_.Apply([](OperatorOrders& orders) {
    orders.paused[{PauseTarget::Kind::kTenant, ""}] = "";  // a tenant is no model
  });
  EXPECT_EQ("", readiness_.Reason());
  orders_.Apply([](OperatorOrders& orders) {
    orders.paused[{PauseTarget::Kind::kModel, ""}] = "";  // the groups' here
  });
  EXPECT_EQ("all groups are drained or their models paused", readiness_.Reason());
}

}  // namespace
}  // namespace cogwheel
