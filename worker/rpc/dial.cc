#include "worker/rpc/dial.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/support/channel_arguments.h>

#include "proto/contract/health_call.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

using std::chrono::system_clock;

constexpr std::chrono::milliseconds kSlice{200};
constexpr std::chrono::seconds kReasonLimit{1};

std::shared_ptr<grpc::Channel> MakeChannel(const std::string& frontend,
                                           const FrontendAccess& access) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxReceiveBytes);
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 200);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1'000);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  return grpc::CreateCustomChannel(frontend, access.channel, arguments);
}

// A channel does not tell why it has no connection; a call on it fails with the reason.
std::string WhyNotConnected(const std::shared_ptr<grpc::Channel>& channel) {
  const absl::Status status = CallHealth(channel, kReasonLimit).status();
  return absl::IsUnavailable(status) ? std::string(status.message()) : "no answer yet";
}

}  // namespace

absl::StatusOr<std::shared_ptr<grpc::Channel>> DialFrontend(const DialOptions& options,
                                                            const FrontendAccess& access) {
  std::shared_ptr<grpc::Channel> channel = MakeChannel(options.frontend, access);
  const auto deadline = system_clock::now() + options.limit;
  bool told = false;
  while (!channel->WaitForConnected(system_clock::now() + kSlice)) {
    if (options.stop_requested()) return absl::CancelledError("asked to leave");
    if (!told) options.on_waiting(WhyNotConnected(channel));
    told = true;
    if (system_clock::now() < deadline) continue;
    return absl::UnavailableError("frontend " + options.frontend + " is not reachable within " +
                                  std::to_string(options.limit.count() / 1000) +
                                  " s: " + WhyNotConnected(channel));
  }
  return channel;
}

}  // namespace cogwheel
