#include "client/server_channel.h"

#include <absl/strings/str_cat.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "proto/contract/status.h"

namespace cogwheel {

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, const ServerAccess& access) {
  grpc::ChannelArguments arguments;
  // A peer that vanished without a word is noticed, however long nothing is sent; servers of the
  // release before take one ping in 30 s.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 40'000);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20'000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 2'000);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  // http_proxy is for the web: this is a loopback or cluster address.
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  arguments.SetMaxReceiveMessageSize(64 * 1024 * 1024);
  return grpc::CreateCustomChannel(address, access.channel, arguments);
}

absl::Status DescribeFailure(const std::string& address, const grpc::Status& status) {
  const absl::Status described = FromGrpc(status);
  if (!ErrorReason(described).empty()) return described;
  if (absl::IsUnavailable(described)) {
    return absl::UnavailableError(
        absl::StrCat("server ", address, " is not reachable: ", described.message()));
  }
  if (absl::IsUnimplemented(described)) {
    return absl::UnimplementedError(absl::StrCat(
        "server ", address, " does not know this call; it may be of an older release"));
  }
  if (absl::IsDeadlineExceeded(described)) {
    return absl::DeadlineExceededError(absl::StrCat("server ", address, " did not answer in time"));
  }
  return described;
}

}  // namespace cogwheel
