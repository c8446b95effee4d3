#pragma once

#include <grpcpp/support/server_callback.h>

#include "cogwheel/v1/video_service.grpc.pb.h"
#include "server/api/api_parts.h"
#include "server/api/rpc_call.h"

namespace cogwheel {

// Requests that may be large or come from any client are taken as bytes (raw_request.h says why);
// the others as messages.
using VideoServiceBase = v1::VideoService::WithRawCallbackMethod_Generate<
    v1::VideoService::WithRawCallbackMethod_CreateJob<
        v1::VideoService::WithRawCallbackMethod_WatchJob<
            v1::VideoService::WithRawCallbackMethod_DownloadVideo<
                v1::VideoService::WithCallbackMethod_GetJob<
                    v1::VideoService::WithCallbackMethod_ListJobs<
                        v1::VideoService::WithCallbackMethod_CancelJob<
                            v1::VideoService::WithCallbackMethod_DeleteJob<
                                v1::VideoService::WithCallbackMethod_ListModels<
                                    v1::VideoService::WithCallbackMethod_ListGroups<
                                        v1::VideoService::WithCallbackMethod_GetGroup<
                                            v1::VideoService::Service>>>>>>>>>>>;

// The public API at gRPC's edge: each method translates, calls, translates back. Streams are in
// files of their own. Thread-safe.
class VideoService final : public VideoServiceBase {
 public:
  explicit VideoService(const ApiParts& parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Unary = grpc::ServerUnaryReactor;
  using Stream = grpc::ServerWriteReactor<grpc::ByteBuffer>;
  Stream* Generate(Context* context, const grpc::ByteBuffer* request) override;
  Stream* WatchJob(Context* context, const grpc::ByteBuffer* request) override;
  Stream* DownloadVideo(Context* context, const grpc::ByteBuffer* request) override;
  Unary* CreateJob(Context* context, const grpc::ByteBuffer* request,
                   grpc::ByteBuffer* job) override;
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
  Unary* Answer(Context* context, const RpcCall& call, const absl::Status& status);

  const ApiParts parts_;
};

}  // namespace cogwheel
