#include <chrono>
#include <fstream>
#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;

// B8: at SIGTERM a call whose write was in flight was cancelled, and its job durably so.
TEST_F(FrontendTest, AShutdownIsNoLeaving) {
  FakeRank::Options options;
  options.finish_on_start = false;
  config_.set_holder_grace_seconds(0);
  ServeWithRank(options);
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, Request("key"));
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  const std::string name = event.job();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  frontend_->Stop();
  EXPECT_EQ("DRAINING", ErrorReason(ReadAll(std::move(reader)).status));
  rank_.reset();
  frontend_.reset();
  Serve();
  EXPECT_EQ(v1::QUEUED, Get(name)->state());
  Join();
  const Events rest = Generate(Request("key"));
  EXPECT_EQ(absl::OkStatus(), rest.status);
  EXPECT_EQ(name, rest.events.back().job());
}

TEST_F(FrontendTest, AKeyedCallHoldsNothingThatCreateJobMade) {
  FakeRank::Options options;
  options.finish_on_start = false;
  config_.set_holder_grace_seconds(0);
  ServeWithRank(options);
  const std::string name = Create(Request("key"))->name();
  {
    grpc::ClientContext context;
    auto reader = stub_->Generate(&context, Request("key"));
    v1::JobEvent event;
    ASSERT_TRUE(reader->Read(&event));
    EXPECT_EQ(name, event.job());
    context.TryCancel();
    reader->Finish();
  }
  // One that is held goes meanwhile.
  v1::CreateJobRequest held;
  held.mutable_request()->set_prompt("p");
  held.set_hold(true);
  grpc::ClientContext context;
  v1::Job other;
  ASSERT_TRUE(stub_->CreateJob(&context, held, &other).ok());
  AwaitState(other.name(), v1::CANCELLED);
  EXPECT_EQ(v1::RUNNING, Get(name)->state());
}

TEST_F(FrontendTest, ATenantHasSoManyStreamsAndNoMore) {
  config_.set_max_tenant_streams(1);
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  grpc::ClientContext context;
  auto reader = stub_->Generate(&context, Request());
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  const absl::Status refused = Watch(event.job(), 0, /*include_video=*/false).status;
  EXPECT_EQ("STREAMS", ErrorReason(refused));
  EXPECT_TRUE(RetryAfter(refused).has_value());
  EXPECT_THAT(std::string(refused.message()), HasSubstr("limit is 1"));
  context.TryCancel();
  reader->Finish();
  Await([&] {
    return ErrorReason(Watch("01hzzzzzzzzzzzzzzzzzzzzzzz", 0, false).status) == "UNKNOWN_JOB";
  });
}

TEST_F(FrontendTest, ARevokedTokenEndsItsStreams) {
  const std::string file = folder_ + "-access.json";
  const auto allow = [&](const std::string& token) {
    std::ofstream(file) << R"({"tenants": [{"name": "a"}], "tokens": [{"sha256": ")"
                        << Sha256Hex(token)
                        << R"(", "tenant": "a", "roles": ["submit", "read", "operate"]}]})";
  };
  allow("secret");
  config_.set_access_file(file);
  Serve();
  grpc::ClientContext context;
  context.AddMetadata("authorization", "Bearer secret");
  v1::GenerateRequest request = Request();
  FakeRank rank(frontend_->addresses().internal, {.finish_on_start = false});
  ASSERT_TRUE(rank.WaitFor(FakeRank::Order::kAssign));
  auto reader = stub_->Generate(&context, request);
  v1::JobEvent event;
  ASSERT_TRUE(reader->Read(&event));
  allow("another one");
  const Events rest = ReadAll(std::move(reader));
  EXPECT_TRUE(absl::IsUnauthenticated(rest.status)) << rest.status;
  EXPECT_EQ("BAD_CREDENTIALS", ErrorReason(rest.status));
  std::filesystem::remove(file);
}

}  // namespace
}  // namespace cogwheel
