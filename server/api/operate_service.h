#pragma once

#include <absl/status/statusor.h>
#include <grpcpp/support/server_callback.h>

#include "base/io_pool.h"
#include "cogwheel/v1/operate_service.grpc.pb.h"
#include "server/api/api_parts.h"
#include "server/operate/audit_log.h"
#include "server/operate/operator.h"

namespace cogwheel {

// Requests are taken as bytes: raw_request.h says why.
using OperateServiceBase = v1::OperateService::WithRawCallbackMethod_DrainGroup<
    v1::OperateService::WithRawCallbackMethod_ResumeGroup<
        v1::OperateService::WithRawCallbackMethod_Pause<
            v1::OperateService::WithRawCallbackMethod_Unpause<
                v1::OperateService::WithRawCallbackMethod_RequeueJob<
                    v1::OperateService::WithRawCallbackMethod_FailJob<
                        v1::OperateService::WithRawCallbackMethod_RetireModel<
                            v1::OperateService::WithRawCallbackMethod_Purge<
                                v1::OperateService::WithRawCallbackMethod_Backup<
                                    v1::OperateService::WithRawCallbackMethod_GetUsage<
                                        v1::OperateService::WithRawCallbackMethod_SetLogLevel<
                                            v1::OperateService::Service>>>>>>>>>>>;

// What operators ask, at gRPC's edge: translates, calls, translates back, and has each call written
// to the audit log, the refused ones too. It has threads of its own: who waits for a full store
// holds up no reader of results. Thread-safe.
class OperateService final : public OperateServiceBase {
 public:
  OperateService(const ApiParts& parts, Operator& decides, AuditLog& audit);

  using Context = grpc::CallbackServerContext;
  using Bytes = grpc::ByteBuffer;
  using Unary = grpc::ServerUnaryReactor;
  Unary* DrainGroup(Context* context, const Bytes* request, Bytes* response) override;
  Unary* ResumeGroup(Context* context, const Bytes* request, Bytes* response) override;
  Unary* Pause(Context* context, const Bytes* request, Bytes* response) override;
  Unary* Unpause(Context* context, const Bytes* request, Bytes* response) override;
  Unary* RequeueJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* FailJob(Context* context, const Bytes* request, Bytes* response) override;
  Unary* RetireModel(Context* context, const Bytes* request, Bytes* response) override;
  Unary* Purge(Context* context, const Bytes* request, Bytes* response) override;
  Unary* Backup(Context* context, const Bytes* request, Bytes* response) override;
  Unary* GetUsage(Context* context, const Bytes* request, Bytes* response) override;
  Unary* SetLogLevel(Context* context, const Bytes* request, Bytes* response) override;

 private:
  struct Exchange {
    Context* context;
    const Bytes* request;
    Bytes* response;
  };
  template <typename Request, typename Response>
  Unary* Serve(const char* method, Exchange call,
               absl::StatusOr<Response> (Operator::*act)(const Request&));

  const ApiParts parts_;
  Operator& decides_;
  AuditLog& audit_;
  CallLimiter refusals_;  // that are written
  IoPool threads_;
};

}  // namespace cogwheel
