#include "server/frontend.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "cogwheel/v1/video_service.grpc.pb.h"
#include "proto/contract/sha256.h"
#include "proto/contract/status.h"
#include "server/settings.h"
#include "tests/support/fake_rank.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class FrontendTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "frontend_XXXXXX";
    folder_ = mkdtemp(pattern.data());
    config_ = DefaultServerConfig();
    config_.set_listen("127.0.0.1:0");
    config_.set_admin_listen("127.0.0.1:0");
    config_.set_data_dir(folder_);
    config_.set_max_calls_per_second(0);  // cases ask as fast as they can
    config_ = CheckServerConfig(config_).value();
  }
  void TearDown() override {
    rank_.reset();
    frontend_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Serve(seconds stall = seconds(30)) {
    config_.set_stalled_stream_seconds(static_cast<int32_t>(stall.count()));
    auto frontend = Frontend::Start(config_, clock_);
    ASSERT_TRUE(frontend.ok()) << frontend.status();
    frontend_ = *std::move(frontend);
    channel_ =
        grpc::CreateChannel(frontend_->addresses().listen, grpc::InsecureChannelCredentials());
    stub_ = v1::VideoService::NewStub(channel_);
  }
  void ServeWithRank(const FakeRank::Options& options = {}) {
    Serve();
    Join(options);
  }
  void Join(const FakeRank::Options& options = {}) {
    rank_ = std::make_unique<FakeRank>(frontend_->addresses().internal, options);
    Await([this, &options] {
      v1::GetGroupRequest request;
      request.set_name(options.group);
      v1::Group group;
      grpc::ClientContext context;
      return stub_->GetGroup(&context, request, &group).ok() && group.ready();
    });
  }
  static void Await(const std::function<bool()>& condition) {
    const auto limit = std::chrono::steady_clock::now() + seconds(20);
    while (!condition()) ASSERT_LT(std::chrono::steady_clock::now(), limit) << "waited in vain";
  }

  static v1::GenerateRequest Request(const std::string& key = "") {
    v1::GenerateRequest request;
    request.set_prompt("p");
    request.set_request_id(key);
    return request;
  }
  absl::StatusOr<v1::Job> Create(const v1::GenerateRequest& generate) {
    v1::CreateJobRequest request;
    *request.mutable_request() = generate;
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = stub_->CreateJob(&context, request, &job);
    if (!status.ok()) return FromGrpc(status);
    return job;
  }
  absl::StatusOr<v1::Job> Get(const std::string& name) {
    v1::GetJobRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = stub_->GetJob(&context, request, &job);
    if (!status.ok()) return FromGrpc(status);
    return job;
  }
  void AwaitState(const std::string& name, v1::JobState state) {
    Await([&] { return Get(name)->state() == state; });
  }
  absl::StatusOr<v1::Job> Cancel(const std::string& name) {
    v1::CancelJobRequest request;
    request.set_name(name);
    grpc::ClientContext context;
    v1::Job job;
    const grpc::Status status = stub_->CancelJob(&context, request, &job);
    if (!status.ok()) return FromGrpc(status);
    return job;
  }
  struct Events {
    std::vector<v1::JobEvent> events;
    absl::Status status;
    std::vector<std::string> Kinds() const {
      std::vector<std::string> kinds;
      for (const auto& event : events) {
        kinds.push_back(event.GetDescriptor()->FindFieldByNumber(event.event_case())->name());
      }
      return kinds;
    }
  };
  static Events ReadAll(std::unique_ptr<grpc::ClientReader<v1::JobEvent>> reader) {
    Events events;
    v1::JobEvent event;
    while (reader->Read(&event)) events.events.push_back(event);
    events.status = FromGrpc(reader->Finish());
    return events;
  }
  Events Watch(const std::string& name, int64_t after, bool include_video) {
    v1::WatchJobRequest request;
    request.set_name(name);
    request.set_after_sequence(after);
    request.set_include_video(include_video);
    grpc::ClientContext context;
    return ReadAll(stub_->WatchJob(&context, request));
  }
  Events Generate(const v1::GenerateRequest& request) {
    grpc::ClientContext context;
    return ReadAll(stub_->Generate(&context, request));
  }
  // Bytes, and the last chunk.
  std::pair<absl::StatusOr<std::string>, v1::Chunk> Download(const std::string& name,
                                                             int64_t offset) {
    v1::DownloadVideoRequest request;
    request.set_name(name);
    request.set_offset(offset);
    grpc::ClientContext context;
    auto reader = stub_->DownloadVideo(&context, request);
    std::string bytes;
    v1::Chunk chunk;
    while (reader->Read(&chunk)) {
      EXPECT_EQ(offset + static_cast<int64_t>(bytes.size()), chunk.offset());
      EXPECT_LE(chunk.data().size(), 256 * 1024);
      bytes += chunk.data();
    }
    const absl::Status status = FromGrpc(reader->Finish());
    if (!status.ok()) return {status, chunk};
    return {bytes, chunk};
  }
  // "SERVING" is 1; the code when the service is unknown.
  int Health(const std::string& service) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + seconds(20));
    grpc::ByteBuffer request, response;
    std::string bytes;
    if (!service.empty()) bytes = std::string("\x0a") + static_cast<char>(service.size()) + service;
    const grpc::Slice slice(bytes);
    request = grpc::ByteBuffer(&slice, 1);
    std::promise<grpc::Status> done;
    grpc::GenericStub(channel_).UnaryCall(&context, "/grpc.health.v1.Health/Check",
                                          grpc::StubOptions(), &request, &response,
                                          [&done](grpc::Status s) { done.set_value(s); });
    const grpc::Status status = done.get_future().get();
    if (!status.ok()) return -status.error_code();
    grpc::Slice answer;
    return response.DumpToSingleSlice(&answer).ok() && answer.size() == 2 ? answer.begin()[1] : 0;
  }

  SystemClock clock_;
  std::string folder_;
  config::v1::ServerConfig config_;
  std::unique_ptr<Frontend> frontend_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::VideoService::Stub> stub_;
  std::unique_ptr<FakeRank> rank_;
};

TEST_F(FrontendTest, GeneratesWithEventsAndVideo) {
  FakeRank::Options options;
  options.result = std::string(1000, 'v');
  ServeWithRank(options);
  const Events events = Generate(Request());
  EXPECT_EQ(absl::OkStatus(), events.status);
  EXPECT_THAT(events.Kinds(), ElementsAre("queued", "started", "progress", "chunk", "succeeded"));
  int64_t last = 0;
  for (const v1::JobEvent& event : events.events) {
    EXPECT_LT(last, event.sequence());
    last = event.sequence();
    EXPECT_GT(event.time().seconds(), 0);
  }
  EXPECT_EQ(options.result, events.events[3].chunk().data());
  EXPECT_EQ(1000, events.events[4].succeeded().size_bytes());
  EXPECT_EQ(Sha256Hex(options.result), events.events[4].succeeded().sha256());
  const internal::v1::JobPlan plan = rank_->Last(FakeRank::Order::kRunJob).run_job().plan();
  EXPECT_EQ(9, plan.frames());
  EXPECT_EQ("dpm", plan.scheduler());
  EXPECT_EQ("video", plan.output_type());
}

TEST_F(FrontendTest, AnswersWithTheJobAsAcceptedAndWithoutItsImage) {
  ServeWithRank();
  const v1::Job job = Create(Request()).value();
  EXPECT_EQ(31, job.name().size());
  EXPECT_EQ(v1::QUEUED, job.state());
  EXPECT_EQ(4, job.request().steps());
  EXPECT_TRUE(job.request().has_seed());
  EXPECT_LE(job.request().seed(), 0xFFFFFFFFU);
  EXPECT_EQ("default", job.tenant());
  AwaitState(job.name(), v1::SUCCEEDED);
  const v1::Job done = Get(job.name().substr(5)).value();  // the bare id too
  EXPECT_EQ(1, done.attempt());
  EXPECT_EQ("default", done.group());
  EXPECT_EQ("video/mp4", done.media_type());
  EXPECT_EQ(1, done.stage_times().denoise().seconds());
  EXPECT_EQ(500'000'000, done.stage_times().denoise().nanos());
}

TEST_F(FrontendTest, SubmitIsIdempotent) {
  ServeWithRank();
  const v1::Job first = Create(Request("k")).value();
  EXPECT_EQ(first.name(), Create(Request("k"))->name());
  v1::GenerateRequest other = Request("k");
  other.set_steps(2);
  EXPECT_EQ("KEY_REUSED", ErrorReason(Create(other).status()));
  const Events events = Generate(Request("k"));  // attaches
  EXPECT_EQ(first.name(), events.events.back().job());
  EXPECT_THAT(events.Kinds(), Contains("succeeded"));
}

TEST_F(FrontendTest, RefusesWithDetails) {
  ServeWithRank();
  v1::GenerateRequest request = Request();
  request.set_height(33);
  const absl::Status bad = Create(request).status();
  EXPECT_TRUE(absl::IsInvalidArgument(bad));
  EXPECT_EQ("SIZE_MULTIPLE", ErrorReason(bad));
  EXPECT_THAT(std::string(bad.message()), HasSubstr("nearest legal value is 32"));
  request = Request();
  request.set_model("nobody");
  const absl::Status unknown = Generate(request).status;
  EXPECT_TRUE(absl::IsUnavailable(unknown));
  EXPECT_EQ("NO_GROUP", ErrorReason(unknown));
  EXPECT_TRUE(RetryAfter(unknown).has_value());
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(Get("01hzzzzzzzzzzzzzzzzzzzzzzz").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Get("nonsense").status()));
  EXPECT_TRUE(absl::IsNotFound(Watch("01hzzzzzzzzzzzzzzzzzzzzzzz", 0, false).status));
}

TEST_F(FrontendTest, NamesTheTextThatIsNotUtf8) {
  Serve();
  const auto call = [this](const std::string& method, const std::string& bytes) {
    const grpc::Slice slice(bytes);
    const grpc::ByteBuffer request(&slice, 1);
    grpc::ByteBuffer response;
    grpc::ClientContext context;
    std::promise<grpc::Status> done;
    grpc::GenericStub(channel_).UnaryCall(&context, "/cogwheel.v1.VideoService/" + method,
                                          grpc::StubOptions(), &request, &response,
                                          [&done](grpc::Status s) { done.set_value(s); });
    return FromGrpc(done.get_future().get());
  };
  const std::string generate =
      "\x12\x03"
      "ab\xff";  // prompt
  const absl::Status bad = call("CreateJob", "\x0a\x05" + generate);
  EXPECT_TRUE(absl::IsInvalidArgument(bad)) << bad;
  EXPECT_EQ("PROMPT", ErrorReason(bad));
  EXPECT_EQ("prompt is not valid UTF-8 at byte 2", bad.message());
  EXPECT_EQ("PROMPT", ErrorReason(call("Generate", generate)));
  EXPECT_EQ("UTF8", ErrorReason(call("DownloadVideo", "\x0a\x01\xff")));
  EXPECT_EQ("MALFORMED", ErrorReason(call("Generate", "\xff\xff")));
  EXPECT_EQ("MALFORMED", ErrorReason(call("WatchJob", "\x0a\x7f")));
}

TEST_F(FrontendTest, TakesRequestsOfSeventeenMebibytes) {
  ServeWithRank();
  v1::GenerateRequest request = Request();
  request.set_image(std::string(16 * 1024 * 1024, 'i'));
  EXPECT_TRUE(absl::IsInvalidArgument(Create(request).status()));
  request.set_image(std::string(18 * 1024 * 1024, 'i'));
  EXPECT_TRUE(absl::IsResourceExhausted(Create(request).status()));
}

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

TEST_F(FrontendTest, CancelsAndDeletes) {
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  const std::string running = Create(Request())->name(), queued = Create(Request())->name();
  ASSERT_TRUE(rank_->WaitFor(FakeRank::Order::kStartJob));
  EXPECT_EQ(v1::CANCELLED, Cancel(queued)->state());
  EXPECT_EQ(v1::RUNNING, Cancel(running)->state());
  AwaitState(running, v1::CANCELLED);
  EXPECT_EQ(1, Get(running)->error().code());
  EXPECT_EQ("JOB_FAILED", ErrorReason(Download(running, 0).first.status()));
  v1::DeleteJobRequest request;
  request.set_name(running);
  for (const bool first : {true, false}) {
    grpc::ClientContext context;
    v1::DeleteJobResponse response;
    const grpc::Status status = stub_->DeleteJob(&context, request, &response);
    EXPECT_EQ(first ? grpc::StatusCode::OK : grpc::StatusCode::NOT_FOUND, status.error_code());
  }
}

TEST_F(FrontendTest, GenerateCancelsItsJobWhenTheCallerLeaves) {
  FakeRank::Options options;
  options.finish_on_start = false;
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
  EXPECT_THAT(Get(name)->error().message(), HasSubstr("localhost:cpu"));
  Await([this] { return Health("") == 2; });
  const std::string queued = Create(Request())->name();  // the model is known
  Join();
  AwaitState(queued, v1::SUCCEEDED);
  EXPECT_EQ(v1::SUCCEEDED, Get(name)->state());
  EXPECT_EQ(2, Get(name)->attempt());
  EXPECT_FALSE(Get(name)->has_error());
  Await([this] { return Health("") == 1; });
}

TEST_F(FrontendTest, ListsJobsModelsAndGroups) {
  ServeWithRank();
  std::vector<std::string> names;
  for (int i = 0; i < 5; ++i) names.insert(names.begin(), Create(Request())->name());
  for (const std::string& name : names) AwaitState(name, v1::SUCCEEDED);
  std::vector<std::string> listed;
  v1::ListJobsRequest request;
  request.set_page_size(2);
  request.add_states(v1::SUCCEEDED);
  v1::ListJobsResponse page;
  do {
    grpc::ClientContext context;
    ASSERT_TRUE(stub_->ListJobs(&context, request, &page).ok());
    for (const v1::Job& job : page.jobs()) listed.push_back(job.name());
    request.set_page_token(page.next_page_token());
  } while (!page.next_page_token().empty());
  EXPECT_EQ(names, listed);
  request.set_page_size(1001);
  grpc::ClientContext bad, for_models;
  EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, stub_->ListJobs(&bad, request, &page).error_code());
  v1::ListModelsResponse models;
  ASSERT_TRUE(stub_->ListModels(&for_models, {}, &models).ok());
  ASSERT_EQ(1, models.models_size());
  EXPECT_TRUE(models.models(0).ready());
  EXPECT_EQ(v1::SCHEDULER_DPM, models.models(0).defaults().scheduler());
  v1::ListGroupsResponse groups;
  Await([&] {  // the last job's end is told before its group is free
    grpc::ClientContext for_groups;
    return stub_->ListGroups(&for_groups, {}, &groups).ok() &&
           groups.groups(0).ranks(0).state() == v1::RANK_READY;
  });
  EXPECT_EQ("tiny", groups.groups(0).model());
}

TEST_F(FrontendTest, APageStaysWithinWhatClientsTake) {
  config_.set_max_queued_jobs(300);
  FakeRank::Options options;
  options.finish_on_start = false;
  ServeWithRank(options);
  v1::GenerateRequest long_request = Request();
  long_request.set_prompt(std::string(16384, 'p'));
  long_request.set_negative_prompt(std::string(16384, 'n'));
  for (int i = 0; i < 150; ++i) ASSERT_TRUE(Create(long_request).ok());
  v1::ListJobsRequest request;
  request.set_page_size(1000);
  std::set<std::string> listed;
  v1::ListJobsResponse page;
  do {
    grpc::ClientContext context;
    const grpc::Status status = stub_->ListJobs(&context, request, &page);
    ASSERT_TRUE(status.ok()) << status.error_message();
    for (const v1::Job& job : page.jobs()) listed.insert(job.name());
    request.set_page_token(page.next_page_token());
  } while (!page.next_page_token().empty());
  EXPECT_EQ(150, listed.size());
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
  for (int i = 0; i < 10; ++i) EXPECT_EQ(2, Health(""));  // no group yet, but an answer
}

TEST_F(FrontendTest, ASecondServerFindsTheDirectoryTaken) {
  Serve();
  const auto second = Frontend::Start(config_, clock_);
  EXPECT_TRUE(absl::IsFailedPrecondition(second.status()));
  config_.set_data_dir(folder_ + "/other");
  config_.set_listen(frontend_->addresses().listen);
  config_.set_internal_listen(frontend_->addresses().listen);
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
