#pragma once

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include "cogwheel/v1/video_service.grpc.pb.h"
#include "proto/contract/status.h"
#include "server/frontend.h"
#include "server/settings.h"
#include "tests/support/fake_rank.h"

namespace cogwheel {

// A whole frontend in this process, a rank that plays its part, and a client.
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
  void Serve(std::chrono::seconds stall = std::chrono::seconds(30)) {
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
    const auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(20);
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
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
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

}  // namespace cogwheel
