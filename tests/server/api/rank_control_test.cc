// What the stream of a rank holds back, over a real one; nobody runs the loop but the test.
#include "server/api/rank_control_service.h"

#include <future>
#include <memory>
#include <string>
#include <thread>

#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/server/groups/rank_group_fixture.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;

class RankControlTest : public RankGroupTest {
 protected:
  RankControlTest() {
    grpc::ServerBuilder builder;
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    stub_ = internal::v1::RankControl::NewStub(server_->InProcessChannel({}));
    stream_ = stub_->Join(&context_);
  }
  ~RankControlTest() override {
    context_.TryCancel();
    server_->Shutdown(std::chrono::system_clock::now());
  }
  // A greeting and then `message` again and again, on another thread; true if all could be written.
  std::future<bool> Write(int times, const RankMessage& message) {
    return std::async(std::launch::async, [this, times, message] {
      RankMessage greeting;
      *greeting.mutable_hello() = MakeHello("a", 0);
      bool written = stream_->Write(greeting);
      for (int i = 0; i < times && written; ++i) written = stream_->Write(message);
      return written;
    });
  }
  void RunUntil(const std::future<bool>& written) {
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (written.wait_for(std::chrono::milliseconds(1)) != std::future_status::ready) {
      ASSERT_LT(std::chrono::steady_clock::now(), limit);
      loop_.RunPending();
    }
  }

  EventLoop loop_{clock_};
  RankControlService service_{loop_, groups_, /*token_digest=*/""};
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<internal::v1::RankControl::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<RankMessage, FrontendMessage>> stream_;
};

TEST_F(RankControlTest, ARankThatSendsFasterThanItIsHandledIsNotRead) {
  RankMessage chunk;
  chunk.mutable_result_chunk()->set_data(std::string(256 * 1024, 'x'));
  std::future<bool> written = Write(/*times=*/500, chunk);
  EXPECT_EQ(std::future_status::timeout, written.wait_for(std::chrono::seconds(1)));
  RunUntil(written);
  EXPECT_TRUE(written.get());
}

TEST_F(RankControlTest, ARankSendsTheGroupsTokenWithTheSchemeInAnyCase) {
  RankControlService guarded(loop_, groups_, Sha256Hex("secret"));
  grpc::ServerBuilder builder;
  builder.RegisterService(&guarded);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  const auto stub = internal::v1::RankControl::NewStub(server->InProcessChannel({}));
  const auto join = [&stub](const std::string& header) {
    grpc::ClientContext context;
    if (!header.empty()) context.AddMetadata("authorization", header);
    const auto stream = stub->Join(&context);
    stream->WritesDone();
    return stream->Finish().error_code();
  };
  for (const char* header : {"bearer secret", "Bearer secret", "BEARER secret"}) {
    EXPECT_EQ(grpc::StatusCode::OK, join(header)) << header;
  }
  for (const char* header : {"", "secret", "basic secret", "bearer other", "bearer"}) {
    EXPECT_EQ(grpc::StatusCode::UNAUTHENTICATED, join(header)) << header;
  }
  server->Shutdown();
}

TEST_F(RankControlTest, ARankThatTakesNoMessagesIsClosed) {
  RankMessage beat;  // each is answered
  beat.mutable_heartbeat();
  std::future<bool> written = Write(/*times=*/1000, beat);
  RunUntil(written);
  EXPECT_FALSE(written.get());
  EXPECT_EQ(grpc::StatusCode::CANCELLED, stream_->Finish().error_code());
}

}  // namespace
}  // namespace cogwheel
