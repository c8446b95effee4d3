#include "client/generation_client.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/operate_client.h"
#include "client/retry.h"
#include "tests/client/fake_video_service.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const grpc::Status kUnavailable(grpc::StatusCode::UNAVAILABLE, "going away");

v1::JobEvent Event(int64_t sequence) {
  v1::JobEvent event;
  event.set_job("jobs/0");
  event.set_sequence(sequence);
  event.mutable_progress()->set_step(static_cast<int>(sequence));
  return event;
}

v1::JobEvent LastEvent(int64_t sequence) {
  v1::JobEvent event = Event(sequence);
  event.mutable_succeeded();
  return event;
}

class GenerationClientTest : public ::testing::Test {
 protected:
  GenerationClient::EventHandler Collect() {
    return [this](const v1::JobEvent& event) {
      sequences_.push_back(event.sequence());
      return absl::OkStatus();
    };
  }

  FakeVideoService service_;
  GenerationClient client_{service_.address()};
  std::vector<int64_t> sequences_;
};

TEST_F(GenerationClientTest, AWatchGoesOnWhereItBroke) {
  std::vector<int64_t> asked;
  service_.watch = [&](const v1::WatchJobRequest& request, FakeVideoService::EventWriter& writer) {
    asked.push_back(request.after_sequence());
    if (asked.size() == 1) {
      writer.Write(Event(5));
      writer.Write(Event(6));
      return kUnavailable;
    }
    writer.Write(Event(6));  // the server repeats one
    writer.Write(LastEvent(7));
    return grpc::Status::OK;
  };
  EXPECT_TRUE(client_.Watch("jobs/0", {}, Collect()).ok());
  EXPECT_THAT(sequences_, ElementsAre(5, 6, 7));
  EXPECT_THAT(asked, ElementsAre(0, 6));
}

TEST_F(GenerationClientTest, AStreamThatEndsWithoutAnEndIsTakenUp) {
  int calls = 0;
  service_.watch = [&](const v1::WatchJobRequest&, FakeVideoService::EventWriter& writer) {
    writer.Write(++calls == 1 ? Event(1) : LastEvent(2));
    return grpc::Status::OK;
  };
  EXPECT_TRUE(client_.Watch("jobs/0", {}, Collect()).ok());
  EXPECT_THAT(sequences_, ElementsAre(1, 2));
}

// A stall that the server cut off is CANCELLED; nobody cancelled the job.
TEST_F(GenerationClientTest, AHeldJobIsTakenUpAfterABreakOrACut) {
  std::vector<std::string> asked;
  service_.watch = [&](const v1::WatchJobRequest& request, FakeVideoService::EventWriter& writer) {
    EXPECT_TRUE(request.hold());
    EXPECT_TRUE(request.include_video());
    asked.push_back(request.name() + " " + std::to_string(request.after_sequence()));
    if (asked.size() == 1) return kUnavailable;
    writer.Write(Event(static_cast<int64_t>(asked.size())));
    if (asked.size() == 2) return grpc::Status::CANCELLED;
    writer.Write(LastEvent(9));
    return grpc::Status::OK;
  };
  EXPECT_TRUE(client_.Watch("jobs/0", {.include_video = true, .hold = true}, Collect()).ok());
  EXPECT_THAT(sequences_, ElementsAre(2, 3, 9));
  EXPECT_THAT(asked, ElementsAre("jobs/0 0", "jobs/0 0", "jobs/0 2"));
}

TEST_F(GenerationClientTest, TheStatusAfterATerminalEventOnlyRepeatsIt) {
  service_.watch = [&](const v1::WatchJobRequest&, FakeVideoService::EventWriter& writer) {
    v1::JobEvent failed = Event(1);
    failed.mutable_failed();
    writer.Write(failed);
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the job's error");
  };
  EXPECT_TRUE(client_.Watch("jobs/0", {}, Collect()).ok());
  EXPECT_THAT(sequences_, ElementsAre(1));
}

TEST_F(GenerationClientTest, ARefusalIsFinal) {
  int calls = 0;
  service_.watch = [&](const v1::WatchJobRequest&, FakeVideoService::EventWriter&) {
    ++calls;
    return grpc::Status(grpc::StatusCode::INVALID_ARGUMENT, "name 478");
  };
  const absl::Status status = client_.Watch("jobs/0", {.hold = true}, Collect());
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
  EXPECT_EQ(status.message(), "name 478");
  EXPECT_EQ(calls, 1);
}

TEST_F(GenerationClientTest, AHandlersErrorEndsTheStream) {
  service_.generate = [&](const v1::GenerateRequest&, FakeVideoService::EventWriter& writer,
                          grpc::ServerContext& context) {
    for (int64_t i = 1; !context.IsCancelled() && writer.Write(Event(i)); ++i) {
    }
    return grpc::Status::CANCELLED;
  };
  const absl::Status status = client_.Watch("jobs/0", {.hold = true}, [](const v1::JobEvent&) {
    return absl::FailedPreconditionError("disk full");
  });
  EXPECT_EQ(status, absl::FailedPreconditionError("disk full"));
}

TEST_F(GenerationClientTest, StopEndsAStreamAndLetsNoOtherStart) {
  service_.generate = [&](const v1::GenerateRequest&, FakeVideoService::EventWriter& writer,
                          grpc::ServerContext& context) {
    writer.Write(Event(1));
    while (!context.IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  std::atomic<bool> seen = false;
  std::jthread stopper([&] {
    seen.wait(false);
    client_.Stop();
  });
  const absl::Status status = client_.Watch("jobs/0", {.hold = true}, [&](const v1::JobEvent&) {
    seen = true;
    seen.notify_all();
    return absl::OkStatus();
  });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_TRUE(absl::IsCancelled(client_.Watch("jobs/0", {}, Collect())));
}

TEST_F(GenerationClientTest, ADownloadGoesOnAtItsOffset) {
  std::vector<int64_t> asked;
  service_.download = [&](const v1::DownloadVideoRequest& request,
                          FakeVideoService::ChunkWriter& writer) {
    asked.push_back(request.offset());
    v1::Chunk chunk;
    chunk.set_offset(request.offset());
    chunk.set_data("abcd");
    chunk.set_last(asked.size() == 3);
    writer.Write(chunk);
    return asked.size() == 1 ? kUnavailable : grpc::Status::OK;
  };
  int64_t bytes = 0;
  EXPECT_TRUE(client_
                  .Download("jobs/0", 10,
                            [&](const v1::Chunk& chunk) {
                              bytes += static_cast<int64_t>(chunk.data().size());
                              return absl::OkStatus();
                            })
                  .ok());
  EXPECT_THAT(asked, ElementsAre(10, 14, 18));
  EXPECT_EQ(bytes, 12);
}

TEST_F(GenerationClientTest, AListFollowsItsPages) {
  service_.list = [&](const v1::ListJobsRequest& request, v1::ListJobsResponse& response) {
    EXPECT_THAT(request.states(), ElementsAre(v1::FAILED));
    response.add_jobs()->set_name("jobs/" + request.page_token());
    if (request.page_token() != "bb") response.set_next_page_token(request.page_token() + "b");
    return grpc::Status::OK;
  };
  std::vector<std::string> names;
  EXPECT_TRUE(
      client_.ListJobs({{v1::FAILED}}, [&](const v1::Job& job) { names.push_back(job.name()); })
          .ok());
  EXPECT_THAT(names, ElementsAre("jobs/", "jobs/b", "jobs/bb"));
  for (const auto& [limit, more] : {std::pair(2, true), std::pair(3, false), std::pair(0, false)}) {
    int told = 0;
    const auto rest = client_.ListJobs({{v1::FAILED}, limit}, [&](const v1::Job&) { ++told; });
    ASSERT_TRUE(rest.ok()) << rest.status();
    EXPECT_EQ(*rest, more);
    EXPECT_EQ(told, more ? limit : 3);
  }
  service_.list = [&](const v1::ListJobsRequest&, v1::ListJobsResponse& response) {
    for (int i = 0; i < 3; ++i) response.add_jobs();  // a page ends behind the limit
    return grpc::Status::OK;
  };
  int told = 0;
  EXPECT_TRUE(client_.ListJobs({{}, 2}, [&](const v1::Job&) { ++told; }).value());
  EXPECT_EQ(told, 2);
  service_.list = [&](const v1::ListJobsRequest&, v1::ListJobsResponse& response) {
    response.set_next_page_token("same");
    return grpc::Status::OK;
  };
  EXPECT_TRUE(absl::IsInternal(client_.ListJobs({}, [](const v1::Job&) {}).status()));
}

TEST(GenerationClient, AServerThatIsNotThereIsToldAtOnce) {
  std::string address;
  {
    FakeVideoService gone;
    address = gone.address();
  }
  GenerationClient client(address);
  const auto begin = std::chrono::steady_clock::now();
  const absl::Status status =
      client.Watch("jobs/0", {}, [](const v1::JobEvent&) { return absl::OkStatus(); });
  EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("server " + address +
                        " is not reachable: connection refused; is cogwheel-server running "
                        "there?"));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
  EXPECT_TRUE(absl::IsUnavailable(client.Health().status()));
}

TEST(OperateClient, AServerOfAnOlderReleaseIsToldSo) {
  const FakeVideoService older;
  OperateClient client(older.address(), {});
  const absl::Status status =
      client.Call(&OperateClient::Stub::DrainGroup, v1::DrainGroupRequest()).status();
  EXPECT_TRUE(absl::IsUnimplemented(status)) << status;
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("server " + older.address() + " does not know this call"));
}

TEST(RetryPolicy, OnlyWhatHasArrivedIsTriedAgain) {
  const absl::Status down = absl::UnavailableError("down");
  RetryPolicy retry;
  EXPECT_FALSE(retry.NextDelay(down).has_value());
  retry.Arrived();
  EXPECT_FALSE(retry.NextDelay(absl::InternalError("bug")).has_value());
  const absl::Status none = MakeError(absl::StatusCode::kResourceExhausted, "OUT_OF_MEMORY", "n");
  EXPECT_FALSE(retry.NextDelay(none).has_value());
  for (const absl::Status& broken :
       {absl::CancelledError("cut"), absl::ResourceExhaustedError("calm"),
        WithRetryAfter(MakeError(absl::StatusCode::kResourceExhausted, "STREAMS", "n"),
                       milliseconds(200))}) {
    EXPECT_EQ(retry.NextDelay(broken), milliseconds(200)) << broken;
    retry.Arrived();
  }
  std::vector<int64_t> delays;
  while (const auto delay = retry.NextDelay(down)) delays.push_back(delay->count());
  EXPECT_THAT(delays, ElementsAre(200, 400, 800, 1600, 3200, 5000, 5000, 5000));
  retry.Arrived();
  EXPECT_EQ(retry.NextDelay(down), milliseconds(200));
}

TEST(RetryPolicy, TheServersWishCountsWithinBounds) {
  RetryPolicy retry;
  retry.Arrived();
  const absl::Status down = absl::UnavailableError("down");
  EXPECT_EQ(retry.NextDelay(WithRetryAfter(down, milliseconds(1500))), milliseconds(1500));
  EXPECT_EQ(retry.NextDelay(WithRetryAfter(down, milliseconds(1))), milliseconds(400));
  EXPECT_EQ(retry.NextDelay(WithRetryAfter(down, milliseconds(3600'000))), milliseconds(5000));
}

}  // namespace
}  // namespace cogwheel
