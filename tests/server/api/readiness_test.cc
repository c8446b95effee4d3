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

  GroupBoard board_;
  AdmissionLedger ledger_{{.jobs = 1}};
  ServerMetrics metrics_{MakeRegistry()};
  HealthRecord health_;
  Readiness readiness_{board_, ledger_, metrics_};
};

TEST_F(ReadinessTest, ServesWhileAFormedGroupHasNoSuspectRank) {
  readiness_.Serve(&health_);
  EXPECT_EQ("no group is formed", readiness_.Reason());
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}}), health_.told);
  Put("g", /*ready=*/true, v1::RANK_BUSY);
  EXPECT_EQ("", readiness_.Reason());
  EXPECT_EQ((Told{{"", true}, {"cogwheel.v1.VideoService", true}, {"g", true}}), health_.told);
  Put("g", /*ready=*/true, v1::RANK_SUSPECT);
  EXPECT_EQ("no group is formed", readiness_.Reason());
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}, {"g", false}}), health_.told);
  Put("h", /*ready=*/true, v1::RANK_READY);  // one is enough
  EXPECT_EQ((Told{{"", true}, {"cogwheel.v1.VideoService", true}, {"g", false}, {"h", true}}),
            health_.told);
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
  EXPECT_EQ((Told{{"", false}, {"cogwheel.v1.VideoService", false}, {"g", false}}), health_.told);
}

}  // namespace
}  // namespace cogwheel
