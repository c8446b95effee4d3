#include <chrono>
#include <future>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "tests/server/api/frontend_fixture.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

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
  EXPECT_EQ(internal::v1::SCHEDULER_DPM, plan.scheduler());
  EXPECT_EQ(internal::v1::OUTPUT_TYPE_VIDEO, plan.output_type());
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
  EXPECT_THAT(std::string(unknown.message()),
              HasSubstr("model nobody is offered by no group; known are "));
  EXPECT_TRUE(RetryAfter(unknown).has_value());
  EXPECT_EQ("UNKNOWN_JOB", ErrorReason(Get("01hzzzzzzzzzzzzzzzzzzzzzzz").status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Get("nonsense").status()));
  EXPECT_TRUE(absl::IsNotFound(Watch("01hzzzzzzzzzzzzzzzzzzzzzzz", 0, false).status));
}

TEST_F(FrontendTest, SaysWhatCannotBeReadOfAnyRequest) {
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
  EXPECT_EQ("UTF8", ErrorReason(call("GetJob", "\x0a\x01\xff")));
  EXPECT_EQ("MALFORMED", ErrorReason(call("WatchJob", "\x0a\x7f")));
  const auto* service =
      v1::GenerateRequest::descriptor()->file()->FindServiceByName("VideoService");
  ASSERT_NE(nullptr, service);
  for (int i = 0; i < service->method_count(); ++i) {
    const std::string method = service->method(i)->name();
    EXPECT_EQ("MALFORMED", ErrorReason(call(method, "\xff\xff"))) << method;
  }
}

TEST_F(FrontendTest, TakesRequestsOfSeventeenMebibytes) {
  ServeWithRank();
  v1::GenerateRequest request = Request();
  request.set_image(std::string(16 * 1024 * 1024, 'i'));
  EXPECT_TRUE(absl::IsInvalidArgument(Create(request).status()));
  request.set_image(std::string(18 * 1024 * 1024, 'i'));
  EXPECT_TRUE(absl::IsResourceExhausted(Create(request).status()));
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

TEST_F(FrontendTest, AStateThatIsUnknownIsRefusedByItsNumber) {
  Serve();
  for (const int state : {0, 7, -1}) {
    v1::ListJobsRequest request;
    request.add_states(static_cast<v1::JobState>(state));
    v1::ListJobsResponse page;
    grpc::ClientContext context;
    const grpc::Status status = stub_->ListJobs(&context, request, &page);
    EXPECT_EQ(grpc::StatusCode::INVALID_ARGUMENT, status.error_code());
    EXPECT_THAT(status.error_message(), HasSubstr("states holds " + std::to_string(state)));
  }
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

}  // namespace
}  // namespace cogwheel
