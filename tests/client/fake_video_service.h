#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "cogwheel/v1/video_service.grpc.pb.h"

namespace cogwheel {

// A VideoService on loopback whose answers a test writes as functions. What is not written is
// UNIMPLEMENTED.
class FakeVideoService final : public v1::VideoService::Service {
 public:
  using EventWriter = grpc::ServerWriter<v1::JobEvent>;
  using ChunkWriter = grpc::ServerWriter<v1::Chunk>;

  FakeVideoService() {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
  }
  ~FakeVideoService() override {
    server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(1));
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  // What `cogwheel generate` meets once CreateJob(hold) has accepted: its WatchJob(hold).
  std::function<grpc::Status(const v1::GenerateRequest&, EventWriter&, grpc::ServerContext&)>
      generate;
  v1::Job accepted;  // jobs/0, as CreateJob(hold) answers it
  std::function<grpc::Status(const v1::WatchJobRequest&, EventWriter&)> watch;
  std::function<grpc::Status(const v1::DownloadVideoRequest&, ChunkWriter&)> download;
  std::function<grpc::Status(const v1::GenerateRequest&, v1::Job&)> create;
  std::function<grpc::Status(const v1::GetJobRequest&, v1::Job&)> get;
  std::function<grpc::Status(const v1::CancelJobRequest&, v1::Job&)> cancel;
  std::function<grpc::Status(const v1::ListJobsRequest&, v1::ListJobsResponse&)> list;

  grpc::Status WatchJob(grpc::ServerContext* context, const v1::WatchJobRequest* request,
                        EventWriter* writer) override {
    if (request->hold() && generate) return generate(held_, *writer, *context);
    return watch ? watch(*request, *writer) : Unwritten();
  }
  grpc::Status DownloadVideo(grpc::ServerContext*, const v1::DownloadVideoRequest* request,
                             ChunkWriter* writer) override {
    return download ? download(*request, *writer) : Unwritten();
  }
  grpc::Status CreateJob(grpc::ServerContext*, const v1::CreateJobRequest* request,
                         v1::Job* job) override {
    if (request->hold() && generate) {
      held_ = request->request();
      *job = accepted;
      job->set_name("jobs/0");
      return grpc::Status::OK;
    }
    return create ? create(request->request(), *job) : Unwritten();
  }
  grpc::Status GetJob(grpc::ServerContext*, const v1::GetJobRequest* request,
                      v1::Job* job) override {
    return get ? get(*request, *job) : Unwritten();
  }
  grpc::Status CancelJob(grpc::ServerContext*, const v1::CancelJobRequest* request,
                         v1::Job* job) override {
    return cancel ? cancel(*request, *job) : Unwritten();
  }
  grpc::Status ListJobs(grpc::ServerContext*, const v1::ListJobsRequest* request,
                        v1::ListJobsResponse* response) override {
    return list ? list(*request, *response) : Unwritten();
  }

 private:
  static grpc::Status Unwritten() { return {grpc::StatusCode::UNIMPLEMENTED, "unwritten"}; }

  v1::GenerateRequest held_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace cogwheel
