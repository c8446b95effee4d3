#include "worker/rank_process.h"

#include <chrono>
#include <cstdio>

#include <unistd.h>

#include "proto/contract/log.h"
#include "worker/parallel/socket_communicator.h"
#include "worker/rank/exit_code.h"
#include "worker/rank/guard.h"
#include "worker/rank/rank_loop.h"
#include "worker/rpc/control_stream.h"

namespace cogwheel {
namespace {

constexpr size_t kMailboxCapacity = 64;

std::string HostName() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

RankIdentity Identity(const WorkerSettings& settings, const ModelDescription& model, int local_rank,
                      const std::string& peer_address) {
  return {.group = settings.group,
          .mesh = settings.mesh,
          .host = HostName(),
          .device = "cpu",
          .local_rank = local_rank,
          .code_version = COGWHEEL_VERSION,
          .dtype = DtypeName(settings.dtype),
          .model = model,
          .peer_address = peer_address};
}

std::unique_ptr<Communicator> JoinWorld(const WorkerSettings& settings, PeerListener listener,
                                        const AssignOrder& order) {
  SetLogContext({{"program", "cogwheel-worker"},
                 {"group", settings.group},
                 {"rank", std::to_string(order.world_rank)}});
  std::unique_ptr<Communicator> world = ConnectSocketWorld(
      std::move(listener), {.rank = order.world_rank,
                            .addresses = order.peer_addresses,
                            .token = order.token,
                            .time_limit = std::chrono::seconds(settings.step_timeout_seconds)});
  std::printf("{\"ready\":true,\"listen\":\"\",\"admin\":\"\"}\n");
  std::fflush(stdout);
  return world;
}

RankParts MakeParts(const WorkerSettings& settings, PeerListener& listener, StopSignals& signals) {
  return {
      .connect =
          [&](const AssignOrder& order) { return JoinWorld(settings, std::move(listener), order); },
      .load =
          [&](int world_rank) {
            return Pipeline::Create({.model_dir = settings.model_dir,
                                     .model_name = settings.model_name,
                                     .mesh = settings.mesh,
                                     .world_rank = world_rank,
                                     .dtype = settings.dtype,
                                     .cpu_threads = settings.cpu_threads});
          },
      .drain_requested = [&] { return signals.Count(std::chrono::milliseconds(0)) > 0; }};
}

}  // namespace

int RunRank(const WorkerSettings& settings, const ModelDescription& model, int local_rank,
            StopSignals& signals) {
  std::optional<PeerListener> listener;
  const absl::Status listening = Guard([&] { listener.emplace(settings.peer_host); });
  if (!listening.ok()) {
    Log(LogLevel::kError, "cannot listen for peers", {{"error", std::string(listening.message())}});
    return kExitInternal;
  }
  const RankParts parts = MakeParts(settings, *listener, signals);
  JobMailbox mailbox(kMailboxCapacity);
  const absl::StatusOr<std::unique_ptr<ControlStream>> link = ControlStream::Connect(
      {.frontend = settings.frontend,
       .identity = Identity(settings, model, local_rank, listener->address()),
       .stop_requested = parts.drain_requested},
      mailbox);
  if (absl::IsCancelled(link.status())) return kExitLeft;
  if (!link.ok()) {
    Log(LogLevel::kError, "cannot join", {{"error", std::string(link.status().message())}});
    return kExitGroupLost;
  }
  RankLoop loop(parts, mailbox, **link);
  return loop.Run();
}

}  // namespace cogwheel
