#pragma once

#include <chrono>
#include <memory>
#include <string>

#include <absl/status/statusor.h>
#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include "base/mutex.h"
#include "client/server_access.h"
#include "client/server_channel.h"
#include "cogwheel/v1/operate_service.grpc.pb.h"

namespace cogwheel {

// One server's OperateService. Calls belong to one thread; Stop may come from another.
class OperateClient {
 public:
  using Stub = v1::OperateService::Stub;

  OperateClient(const std::string& address, ServerAccess access)
      : address_(address),
        access_(std::move(access)),
        stub_(v1::OperateService::NewStub(OpenChannel(address, access_))) {}

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request) COGWHEEL_EXCLUDES(mutex_) {
    grpc::ClientContext context;
    access_.Authorize(context);
    context.set_deadline(std::chrono::system_clock::now() + kLimit);
    if (!Activate(&context)) return absl::CancelledError("stopped");
    Response response;
    const grpc::Status status = (stub_.get()->*method)(&context, request, &response);
    const bool stopped = !Activate(nullptr);
    if (status.ok()) return response;
    if (stopped) return absl::CancelledError("stopped");
    return DescribeFailure(address_, status);
  }
  // Ends the running call with CANCELLED and lets no other start.
  void Stop() COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    stopped_ = true;
    if (active_ != nullptr) active_->TryCancel();
  }

 private:
  static constexpr std::chrono::minutes kLimit{10};  // a purge and a backup take their time

  bool Activate(grpc::ClientContext* context) COGWHEEL_EXCLUDES(mutex_) {
    MutexLock lock(mutex_);
    active_ = context;
    return !stopped_;
  }

  const std::string address_;
  const ServerAccess access_;
  const std::unique_ptr<Stub> stub_;
  Mutex mutex_;
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  grpc::ClientContext* active_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;
};

}  // namespace cogwheel
