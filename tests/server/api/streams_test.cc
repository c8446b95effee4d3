#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(FrontendTest, WatchResumesAfterASequence) {
  ServeWithRank();
  const std::string name = Create(Request())->name();
  const Events all = Watch(name, 0, /*include_video=*/true);
  EXPECT_EQ(absl::OkStatus(), all.status);
  EXPECT_THAT(all.Kinds(), ElementsAre("queued", "started", "progress", "chunk", "succeeded"));
  EXPECT_THAT(Watch(name, 0, /*include_video=*/false).Kinds(),
              ElementsAre("queued", "started", "progress", "succeeded"));
  EXPECT_THAT(Watch(name, all.events[2].sequence(), /*include_video=*/true).Kinds(),
              ElementsAre("chunk", "succeeded"));
  EXPECT_THAT(Watch(name, all.events.back().sequence(), /*include_video=*/true).Kinds(), IsEmpty());
}

TEST_F(FrontendTest, AnOldJobsWatchersGetASnapshotAndTheEnd) {
  ServeWithRank();
  const std::string name = Create(Request())->name();
  AwaitState(name, v1::SUCCEEDED);
  for (int i = 0; i < 64; ++i) {  // as many as have their events kept
    EXPECT_EQ(absl::OkStatus(), Generate(Request()).status);
  }
  const Events events = Watch(name, 0, /*include_video=*/false);
  EXPECT_EQ(absl::OkStatus(), events.status);
  ASSERT_THAT(events.Kinds(), ElementsAre("snapshot", "succeeded"));
  EXPECT_EQ(v1::SUCCEEDED, events.events[0].snapshot().state());
  EXPECT_LT(events.events[0].sequence(), events.events[1].sequence());
  EXPECT_THAT(Watch(name, events.events[1].sequence(), false).Kinds(), IsEmpty());
}

TEST_F(FrontendTest, DownloadsFromAnyOffset) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  const std::string name = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  EXPECT_EQ("NOT_READY", ErrorReason(Download(name, 0).first.status()));
  std::string result;
  for (int i = 0; i < 600'000; ++i) result += static_cast<char>('a' + i % 23);
  for (size_t offset = 0; offset < result.size(); offset += 200'000) {
    rank_->SendChunk(static_cast<int64_t>(offset), result.substr(offset, 200'000));
  }
  rank_->SendDone(0, result);
  AwaitState(name, v1::SUCCEEDED);
  const auto [bytes, last] = Download(name, 0);
  EXPECT_EQ(result, bytes.value());
  EXPECT_TRUE(last.last());
  EXPECT_EQ(Sha256Hex(result), last.sha256());
  EXPECT_EQ(600'000, last.size_bytes());
  EXPECT_EQ(result.substr(123'456), Download(name, 123'456).first.value());
  const auto [nothing, end] = Download(name, 600'000);
  EXPECT_EQ("", nothing.value());
  EXPECT_TRUE(end.last());
  EXPECT_TRUE(absl::IsOutOfRange(Download(name, 600'001).first.status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Download(name, -1).first.status()));
}

TEST_F(FrontendTest, ADamagedResultIsDataLoss) {
  ServeWithRank();
  const std::string name = Create(Request())->name();
  AwaitState(name, v1::SUCCEEDED);
  const std::string sha = Get(name)->sha256();
  const std::string path = folder_ + "/artefacts/" + sha.substr(0, 2) + "/" + sha + ".mp4";
  std::fstream(path, std::ios::in | std::ios::out) << "X";
  EXPECT_TRUE(absl::IsDataLoss(Download(name, 0).first.status()));
  std::filesystem::remove(path);
  EXPECT_EQ("RESULT_EXPIRED", ErrorReason(Download(name, 0).first.status()));
}

// Too large to be read as a whole before its first byte is sent.
TEST_F(FrontendTest, DamageInALargeResultIsFoundWhileItIsRead) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  const std::string name = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  const std::string piece(256 * 1024, 'x');
  std::string result;
  while (result.size() <= 64 << 20) {
    rank_->SendChunk(static_cast<int64_t>(result.size()), piece);
    result += piece;
  }
  rank_->SendDone(0, result);
  AwaitState(name, v1::SUCCEEDED);
  EXPECT_TRUE(Download(name, 0).first.ok());
  const std::string sha = Get(name)->sha256();
  const std::string path = folder_ + "/artefacts/" + sha.substr(0, 2) + "/" + sha + ".mp4";
  std::fstream file(path, std::ios::in | std::ios::out);
  file.seekp(1 << 20);
  file << "y" << std::flush;
  const auto [bytes, last] = Download(name, 0);
  EXPECT_TRUE(absl::IsDataLoss(bytes.status())) << bytes.status();
  EXPECT_GT(last.offset(), 0);
}

TEST_F(FrontendTest, WhoWatchesWithoutVideoIsNotToldOfItsPieces) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  const std::string name = Create(Request())->name();
  v1::WatchJobRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  auto reader = stub_->WatchJob(&context, request);
  v1::JobEvent event;
  while (reader->Read(&event) && !event.has_started()) {
  }
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  constexpr int kPieces = 1100;  // more than are held
  for (int i = 0; i < kPieces; ++i) rank_->SendChunk(i, "x");
  rank_->SendDone(0, std::string(kPieces, 'x'));
  const Events rest = ReadAll(std::move(reader));
  EXPECT_THAT(rest.Kinds(), ElementsAre("succeeded"));
}

TEST_F(FrontendTest, GenerateCancelsItsJobAGraceAfterTheCallerLeft) {
  FakeRank::Options options;
  options.finish_on_start = false;
  config_.set_holder_grace_seconds(1);
  ServeWithRank(options);
  const auto leave = [this](const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    auto reader = stub_->Generate(&context, request);
    v1::JobEvent event;
    EXPECT_TRUE(reader->Read(&event));
    context.TryCancel();
    EXPECT_EQ(grpc::StatusCode::CANCELLED, reader->Finish().error_code());
    return event.job();
  };
  AwaitState(leave(Request()), v1::CANCELLED);
  v1::GenerateRequest detached = Request();
  detached.set_detach(true);
  const std::string kept = leave(detached);
  // Whoever leaves first does not take the job from the other.
  grpc::ClientContext second;
  auto attached = stub_->Generate(&second, Request("shared"));
  v1::JobEvent event;
  ASSERT_TRUE(attached->Read(&event));
  const std::string shared = event.job();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(shared, leave(Request("shared")));
  EXPECT_EQ(v1::RUNNING, Get(kept)->state());
  rank_->SendDone(/*code=*/0, "");  // of the job before: now the shared one runs
  while (attached->Read(&event) && event.has_queued()) {
  }
  EXPECT_TRUE(event.has_started()) << event.ShortDebugString();
  second.TryCancel();
  attached->Finish();
  AwaitState(shared, v1::CANCELLED);
  EXPECT_EQ(v1::SUCCEEDED, Get(kept)->state());
}

TEST_F(FrontendTest, AFailedJobIsTheStatusOfGenerate) {
  FakeRank::Options options;
  options.accept_jobs = false;
  ServeWithRank(options);
  const Events events = Generate(Request());
  EXPECT_TRUE(absl::IsResourceExhausted(events.status)) << events.status;
  EXPECT_EQ("DEVICE_MEMORY", ErrorReason(events.status));
  EXPECT_THAT(events.Kinds(), ElementsAre("queued", "failed"));
  EXPECT_EQ(absl::OkStatus(), Watch(events.events[0].job(), 0, false).status);
}

TEST_F(FrontendTest, AStalledReaderIsCutAndOthersAreNot) {
  Serve(/*stall=*/seconds(1));
  FakeRank::Options options;
  options.finish_on_start = false;
  Join(options);
  const std::string name = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  const std::string piece(256 * 1024, 'x');
  std::string result;
  for (int i = 0; i < 64; ++i) {
    rank_->SendChunk(static_cast<int64_t>(result.size()), piece);
    result += piece;
  }
  rank_->SendDone(0, result);
  AwaitState(name, v1::SUCCEEDED);
  grpc::ChannelArguments small;  // little is in flight
  small.SetInt(GRPC_ARG_HTTP2_BDP_PROBE, 0);
  small.SetInt(GRPC_ARG_HTTP2_STREAM_LOOKAHEAD_BYTES, 64 * 1024);
  const auto slow = v1::VideoService::NewStub(grpc::CreateCustomChannel(
      frontend_->addresses().listen, grpc::InsecureChannelCredentials(), small));
  v1::DownloadVideoRequest request;
  request.set_name(name);
  grpc::ClientContext context;
  auto reader = slow->DownloadVideo(&context, request);
  v1::Chunk chunk;
  ASSERT_TRUE(reader->Read(&chunk));  // and no more
  EXPECT_EQ(result.size(), Download(name, 0).first->size());
  grpc::ClientContext watching;
  v1::GenerateRequest idle = Request();
  auto idle_reader = stub_->Generate(&watching, idle);  // waits for events, owes no reading
  v1::JobEvent event;
  ASSERT_TRUE(idle_reader->Read(&event));
  const auto limit = std::chrono::steady_clock::now() + seconds(20);
  while (frontend_->streams_cut() == 0) ASSERT_LT(std::chrono::steady_clock::now(), limit);
  while (reader->Read(&chunk)) {
  }
  EXPECT_EQ(grpc::StatusCode::CANCELLED, reader->Finish().error_code());
  EXPECT_EQ(1, frontend_->streams_cut());
  rank_->SendDone(1, "");
  while (idle_reader->Read(&event)) {
  }
  EXPECT_TRUE(event.has_cancelled()) << event.ShortDebugString();
}

}  // namespace
}  // namespace cogwheel
