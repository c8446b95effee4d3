#include "server/api/operate_service.h"

#include <memory>
#include <string>
#include <utility>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/api/bearer.h"
#include "server/api/call_limiter.h"
#include "server/api/raw_request.h"
#include "server/api/rpc_call.h"

namespace cogwheel {
namespace {

constexpr IoPool::Limits kThreads = {.threads = 2, .line = 32, .all = 64};
constexpr size_t kTokenDigits = 8;  // of its digest: enough to find it in the access file
// Lines of one host: whoever proves nothing must not fill a disk.
constexpr CallLimiter::Limits kRefusals = {.per_second = 1, .burst = 60};

// Who calls. What came of it is still to be said.
AuditEntry EntryOf(const RpcCall& call, const grpc::ServerContextBase& context) {
  const std::optional<std::string> header = AuthorizationOf(context);
  const std::optional<std::string_view> token = BearerToken(header);
  return {.token = token.has_value() ? Sha256Hex(*token).substr(0, kTokenDigits) : "",
          .tenant = call.tenant().ok() ? *call.tenant() : "",
          .host = HostOfPeer(context.peer()),
          .method = call.method()};
}

}  // namespace

OperateService::OperateService(const ApiParts& parts, Operator& decides, AuditLog& audit)
    : parts_(parts),
      decides_(decides),
      audit_(audit),
      refusals_(kRefusals, parts.clock),
      threads_(kThreads) {}

template <typename Request, typename Response>
OperateService::Unary* OperateService::Serve(
    const char* method, Exchange exchange,
    absl::StatusOr<Response> (Operator::*act)(const Request&)) {
  const RpcCall call(method, *exchange.context, parts_);
  Unary* reactor = exchange.context->DefaultReactor();
  const absl::Status admitted = call.tenant().status();
  const bool written =
      admitted.ok() || (!absl::IsResourceExhausted(admitted) &&
                        refusals_.TakeOfHost(HostOfPeer(exchange.context->peer())).ok());
  if (!written) {
    reactor->Finish(call.End(admitted));
    return reactor;
  }
  auto request = std::make_shared<Request>();
  const absl::Status legal = admitted.ok() ? ParseRequest(*exchange.request, *request) : admitted;
  const bool posted = threads_.TryPost(
      admitted.ok() ? "admitted" : "refused", [this, call, exchange, reactor, request, legal, act,
                                               entry = EntryOf(call, *exchange.context)]() mutable {
        absl::Status ended = legal.ok() ? audit_.Check() : legal;
        if (ended.ok()) {
          const absl::StatusOr<Response> response = (decides_.*act)(*request);
          if (response.ok()) *exchange.response = ToBytes(response->SerializeAsString());
          ended = response.status();
        }
        entry.request = legal.ok() ? request.get() : nullptr;
        entry.outcome = ended;
        audit_.Write(entry);
        reactor->Finish(call.End(ended));
      });
  if (!posted) {
    reactor->Finish(call.End(MakeError(absl::StatusCode::kResourceExhausted, "OPERATE_BUSY",
                                       "too many operators' calls wait")));
  }
  return reactor;
}

#define COGWHEEL_OPERATE(Method)                                                        \
  OperateService::Unary* OperateService::Method(Context* context, const Bytes* request, \
                                                Bytes* response) {                      \
    return Serve(#Method, {context, request, response}, &Operator::Method);             \
  }
COGWHEEL_OPERATE(DrainGroup)
COGWHEEL_OPERATE(ResumeGroup)
COGWHEEL_OPERATE(Pause)
COGWHEEL_OPERATE(Unpause)
COGWHEEL_OPERATE(RequeueJob)
COGWHEEL_OPERATE(FailJob)
COGWHEEL_OPERATE(RetireModel)
COGWHEEL_OPERATE(Purge)
COGWHEEL_OPERATE(Backup)
COGWHEEL_OPERATE(GetUsage)
COGWHEEL_OPERATE(SetLogLevel)
#undef COGWHEEL_OPERATE

}  // namespace cogwheel
