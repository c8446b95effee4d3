#include <chrono>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::Not;

TEST_F(FrontendTest, AJobOfALostRankRunsAgainAndHealthSaysSo) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  EXPECT_EQ(1, Health(""));
  EXPECT_EQ(1, Health("cogwheel.v1.VideoService"));
  EXPECT_EQ(1, Health("default"));
  EXPECT_EQ(-grpc::StatusCode::NOT_FOUND, Health("nobody"));
  const std::string name = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  rank_->Disconnect();
  AwaitState(name, v1::QUEUED);
  EXPECT_EQ("GROUP_LOST", Get(name)->error().reason());
  EXPECT_THAT(Get(name)->error().message(), HasSubstr("rank 0 of group default"));
  EXPECT_THAT(Get(name)->error().message(), Not(HasSubstr("localhost")));
  Await([this] { return Health("") == 2; });
  const std::string queued = Create(Request())->name();  // the model is known
  Join();
  AwaitState(queued, v1::SUCCEEDED);
  EXPECT_EQ(v1::SUCCEEDED, Get(name)->state());
  EXPECT_EQ(2, Get(name)->attempt());
  EXPECT_FALSE(Get(name)->has_error());
  Await([this] { return Health("") == 1; });
}

TEST_F(FrontendTest, DrainRefusesNewJobsAndStopEndsStreams) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  const std::string running = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  const std::string queued = Create(Request())->name();
  v1::WatchJobRequest request;
  grpc::ClientContext of_running, of_queued;
  v1::JobEvent event;
  request.set_name(running);
  auto watched = stub_->WatchJob(&of_running, request);
  request.set_name(queued);
  auto waiting = stub_->WatchJob(&of_queued, request);
  ASSERT_TRUE(watched->Read(&event));
  ASSERT_TRUE(waiting->Read(&event));
  EXPECT_TRUE(frontend_->Busy());
  frontend_->Drain();
  EXPECT_EQ(2, Health(""));
  EXPECT_EQ("DRAINING", ErrorReason(Create(Request()).status()));
  EXPECT_EQ(v1::RUNNING, Get(running)->state());
  const auto begin = std::chrono::steady_clock::now();
  frontend_->Stop();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(5));
  const Events events = ReadAll(std::move(watched));
  EXPECT_EQ("queued", events.Kinds().back());  // the next process will run it
  EXPECT_EQ("DRAINING", ErrorReason(events.status));
  EXPECT_EQ("DRAINING", ErrorReason(ReadAll(std::move(waiting)).status));
}

TEST_F(FrontendTest, WhoCallsTooOftenIsToldWhenToComeBack) {
  config_.set_max_calls_per_second(1);
  config_.set_max_call_burst(3);
  Serve();
  const std::string unknown = "01hzzzzzzzzzzzzzzzzzzzzzzz";
  for (int i = 0; i < 3; ++i) EXPECT_EQ("UNKNOWN_JOB", ErrorReason(Get(unknown).status()));
  for (const absl::Status& refused :
       {Get(unknown).status(), Create(Request()).status(), Watch(unknown, 0, false).status,
        Generate(Request()).status, Download(unknown, 0).first.status()}) {
    EXPECT_TRUE(absl::IsResourceExhausted(refused)) << refused;
    EXPECT_EQ("CALL_RATE", ErrorReason(refused));
    EXPECT_GT(RetryAfter(refused).value_or(milliseconds(0)), milliseconds(0));
  }
  grpc::ClientContext context;
  v1::Job job;
  stub_->GetJob(&context, {}, &job);
  EXPECT_EQ(1, context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"));
  for (int i = 0; i < 10; ++i) EXPECT_EQ(2, Health(""));  // no group yet, but an answer
}

TEST_F(FrontendTest, ASecondServerFindsDirectoryAndAddressesTaken) {
  Serve();
  const auto second = Frontend::Start(config_, clock_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  config_.set_data_dir(folder_ + "/other");
  config_.set_listen(frontend_->addresses().listen);
  config_.set_internal_listen(frontend_->addresses().listen);
  EXPECT_TRUE(absl::IsUnavailable(Frontend::Start(config_, clock_).status()));
  config_.set_listen("127.0.0.1:0");
  config_.set_internal_listen("127.0.0.1:0");
  config_.set_admin_listen(frontend_->addresses().admin);
  EXPECT_TRUE(absl::IsUnavailable(Frontend::Start(config_, clock_).status()));
}

TEST_F(FrontendTest, RanksMayHaveAPortOfTheirOwn) {
  config_.set_internal_listen("127.0.0.2:0");
  ServeWithRank();
  EXPECT_NE(frontend_->addresses().listen, frontend_->addresses().internal);
  EXPECT_EQ(absl::OkStatus(), Generate(Request()).status);
  FakeRank lost(frontend_->addresses().listen, {});
  EXPECT_EQ(grpc::StatusCode::UNIMPLEMENTED, lost.Finished().error_code());
}

}  // namespace
}  // namespace cogwheel
