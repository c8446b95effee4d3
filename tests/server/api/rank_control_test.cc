// What the stream of a rank holds back, over a real one; nobody runs the loop but the test.
#include "server/api/rank_control_service.h"

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

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

  // The dispatcher comes round.
  void Turn() {
    loop_.Post([] {});
    loop_.RunPending();
  }

  EventLoop loop_{clock_};
  RankControlService::Parts PartsWith(const std::string& token_digest) {
    return {loop_, groups_, clock_, metrics_, token_digest};
  }
  RankControlService service_{PartsWith(/*token_digest=*/"")};
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
  RankControlService guarded(PartsWith(Sha256Hex("secret")));
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
  EXPECT_EQ(std::vector<std::string>{"RANK_CREDENTIALS: 5"},
            Counts("cogwheel_api_ranks_refused_total", "reason"));
  server->Shutdown();
}

// On gRPC's threads: nobody runs the loop here. Ranks leave a frontend that does not answer for 15
// s, and a slow disk of its is no reason.
TEST_F(RankControlTest, HeartbeatsAreAnsweredThoughTheDispatcherIsBehind) {
  Turn();
  clock_.Advance(std::chrono::seconds(59));
  RankMessage message;
  *message.mutable_hello() = MakeHello("a", 0);
  ASSERT_TRUE(stream_->Write(message));
  message.mutable_heartbeat()->set_epoch(7);
  FrontendMessage answer;
  for (int i = 0; i < 20; ++i) {  // more than messages that may wait
    ASSERT_TRUE(stream_->Write(message));
    ASSERT_TRUE(stream_->Read(&answer));
    EXPECT_EQ(7, answer.beat().epoch());
  }
  // Results that nobody handles: the stream is no longer read, and still not without a word.
  RankMessage chunk;
  chunk.mutable_result_chunk();
  for (int i = 1; i < RankStreamLink::kMaxUnhandled; ++i) ASSERT_TRUE(stream_->Write(chunk));
  ASSERT_TRUE(stream_->Read(&answer));
  EXPECT_TRUE(answer.has_beat());
}

TEST_F(RankControlTest, ADispatcherThatHangsForGoodAnswersNobody) {
  Turn();
  clock_.Advance(std::chrono::seconds(60));
  RankMessage beat;
  beat.mutable_heartbeat();
  ASSERT_TRUE(stream_->Write(beat));
  std::future<bool> answered = std::async(std::launch::async, [this] {
    FrontendMessage answer;
    return stream_->Read(&answer);
  });
  EXPECT_EQ(std::future_status::timeout, answered.wait_for(std::chrono::milliseconds(300)));
  context_.TryCancel();
  EXPECT_FALSE(answered.get());
}

TEST_F(RankControlTest, StreamsThatDoNotGreetAreBounded) {
  const auto limit = std::chrono::system_clock::now() + std::chrono::seconds(20);
  std::vector<std::unique_ptr<grpc::ClientContext>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReaderWriter<RankMessage, FrontendMessage>>> streams;
  for (int i = 0; i < 80; ++i) {  // the fixture has one; some may not be there yet when asked
    contexts.push_back(std::make_unique<grpc::ClientContext>());
    contexts.back()->set_deadline(limit);
    streams.push_back(stub_->Join(contexts.back().get()));
  }
  int refused = 0;
  std::vector<std::thread> readers;
  Mutex mutex;
  CondVar ended;
  for (auto& stream : streams) {
    readers.emplace_back([&] {
      const grpc::Status status = stream->Finish();
      MutexLock lock(mutex);
      if (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED) ++refused;
      ended.NotifyAll();
    });
  }
  {
    MutexLock lock(mutex);
    ended.WaitFor(mutex, std::chrono::seconds(20), [&] { return refused == 17; });
    EXPECT_EQ(17, refused) << "of 81 that never said a word";
  }
  for (auto& context : contexts) context->TryCancel();
  for (std::thread& reader : readers) reader.join();
}

TEST_F(RankControlTest, ARankThatTakesNoMessagesIsClosed) {
  Turn();
  RankMessage beat;  // each is answered
  beat.mutable_heartbeat();
  std::future<bool> written = Write(/*times=*/1000, beat);
  RunUntil(written);
  EXPECT_FALSE(written.get());
  EXPECT_EQ(grpc::StatusCode::CANCELLED, stream_->Finish().error_code());
}

}  // namespace
}  // namespace cogwheel
