#pragma once

#include <grpcpp/support/server_callback.h>

#include "cogwheel/v1/video_service.grpc.pb.h"
#include "server/api/api_parts.h"

namespace cogwheel {

// The public API at gRPC's edge: each method translates, calls, translates back. Streams are in
// files of their own. Thread-safe.
class VideoService final : public v1::VideoService::CallbackService {
 public:
  explicit VideoService(const ApiParts& parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  grpc::ServerWriteReactor<v1::JobEvent>* Generate(Context* context,
                                                   const v1::GenerateRequest* request) override;
  grpc::ServerWriteReactor<v1::JobEvent>* WatchJob(Context* context,
                                                   const v1::WatchJobRequest* request) override;
  grpc::ServerWriteReactor<v1::Chunk>* DownloadVideo(
      Context* context, const v1::DownloadVideoRequest* request) override;
  Unary* CreateJob(Context* context, const v1::CreateJobRequest* request, v1::Job* job) override;
  Unary* GetJob(Context* context, const v1::GetJobRequest* request, v1::Job* job) override;
  Unary* ListJobs(Context* context, const v1::ListJobsRequest* request,
                  v1::ListJobsResponse* response) override;
  Unary* CancelJob(Context* context, const v1::CancelJobRequest* request, v1::Job* job) override;
  Unary* DeleteJob(Context* context, const v1::DeleteJobRequest* request,
                   v1::DeleteJobResponse* response) override;
  Unary* ListModels(Context* context, const v1::ListModelsRequest* request,
                    v1::ListModelsResponse* response) override;
  Unary* ListGroups(Context* context, const v1::ListGroupsRequest* request,
                    v1::ListGroupsResponse* response) override;
  Unary* GetGroup(Context* context, const v1::GetGroupRequest* request, v1::Group* group) override;

 private:
  Unary* Answer(Context* context, const char* method, const absl::Status& status);

  const ApiParts parts_;
};

}  // namespace cogwheel
