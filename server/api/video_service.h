#pragma once

#include <grpcpp/support/server_callback.h>

#include "cogwheel/v1/video_service.grpc.pb.h"
#include "server/api/api_parts.h"

namespace cogwheel {

// Requests are taken as bytes: raw_request.h says why.
using VideoServiceBase = v1::VideoService::WithRawCallbackMethod_Generate<
    v1::VideoService::WithRawCallbackMethod_CreateJob<
        v1::VideoService::WithRawCallbackMethod_WatchJob<
            v1::VideoService::WithRawCallbackMethod_DownloadVideo<
                v1::VideoService::WithRawCallbackMethod_UploadInput<
                    v1::VideoService::WithRawCallbackMethod_GetJob<
                        v1::VideoService::WithRawCallbackMethod_ListJobs<
                            v1::VideoService::WithRawCallbackMethod_CancelJob<
                                v1::VideoService::WithRawCallbackMethod_DeleteJob<
                                    v1::VideoService::WithRawCallbackMethod_ListModels<
                                        v1::VideoService::WithRawCallbackMethod_ListGroups<
                                            v1::VideoService::WithRawCallbackMethod_GetGroup<
                                                v1::VideoService::Service>>>>>>>>>>>>;

// The public API at gRPC's edge: each method translates, calls, translates back. Streams are in
// files of their own. Thread-safe.
class VideoService final : public VideoServiceBase {
 public:
  explicit VideoService(const ApiParts& parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;
  using Unary = grpc::ServerUnaryReactor;
  using Stream = grpc::ServerWriteReactor<grpc::ByteBuffer>;
  Stream* Generate(Context* context, const Bytes* request) override;
  Stream* WatchJob(Context* context, const Bytes* request) override;
  Stream* DownloadVideo(Context* context, const Bytes* request) override;
  grpc::ServerReadReactor<Bytes>* UploadInput(Context* context, Bytes* response) override;
  Unary* CreateJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* GetJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* ListJobs(Context* context, const Bytes* request, Bytes* response) override;
  Unary* CancelJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* DeleteJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* ListModels(Context* context, const Bytes* request, Bytes* response) override;
  Unary* ListGroups(Context* context, const Bytes* request, Bytes* response) override;
  Unary* GetGroup(Context* context, const Bytes* request, Bytes* response) override;

 private:
  const ApiParts parts_;
};

}  // namespace cogwheel
