#include "worker/rank_process.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include <sys/prctl.h>
#include <unistd.h>

#include <absl/strings/str_format.h>

#include "base/log.h"
#include "base/mutex.h"
#include "worker/comm/mailbox/socket_communicator.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/journal/journaled_world.h"
#include "worker/metrics/rank_admin.h"
#include "worker/rank/exit_code.h"
#include "worker/rank/guard.h"
#include "worker/rank/rank_loop.h"
#include "worker/rank/watchdog.h"
#include "worker/rpc/control_stream.h"
#include "worker/served_family.h"

namespace cogwheel {
namespace {

constexpr size_t kMailboxCapacity = 64;
// How long a rank waits for peers that have promised nothing.
constexpr std::chrono::seconds kUnpromised{10};

JournaledWorld ConnectWorld(const WorkerSettings& settings, PeerListener listener,
                            const AssignOrder& order, int local_rank, FlightRecorder& recorder) {
  const std::chrono::seconds limit(settings.step_timeout_seconds);
  SocketWorldOptions options = {.rank = order.world_rank,
                                .addresses = order.peer_addresses,
                                .token = order.token,
                                .time_limit = limit};
  // On the CPU ranks promise each other how long their work may take: that is the limit.
  if (settings.device == DeviceKind::kCpu) options.time_limit = std::min(limit, kUnpromised);
  if (settings.device == DeviceKind::kCuda) {
    NcclWorld world = ConnectNcclWorld(ConnectSocketWorld(std::move(listener), options),
                                       {.device_idx = local_rank, .time_limit = limit});
    return Journaled(std::move(world.communicator), std::move(world.stream_waits), recorder);
  }
  const auto lockstep = std::make_shared<Lockstep>(order.world_rank);
  options.marks = lockstep;
  return Journaled(ConnectSocketWorld(std::move(listener), options), lockstep, recorder);
}

// What one rank is made of. Members stand in the order of who uses whom.
class RankProcess {
 public:
  RankProcess(const WorkerSettings& settings, const ModelDescription& model, const HostPlace& place,
              StopSignals& signals)
      : settings_(settings),
        model_(model),
        local_rank_(place.local_rank),
        replaces_killed_for_memory_(place.replaces_killed_for_memory),
        frontend_missed_(place.frontend_missed),
        admin_(ShownOf(settings, model, local_rank_)),
        watchdog_({.clock = clock_,
                   .first_limit = std::chrono::seconds(settings.step_timeout_seconds),
                   .report = [this](const std::string& fault) { Tell(fault); },
                   .count_stops = [&signals] { return signals.Count(std::chrono::seconds(0)); },
                   .on_stop = [this](int stops) { TellLeaving(stops); },
                   .hooks = admin_.Hooks(),
                   .exit = [](int code) { _exit(code); }}) {}

  int Run();

 private:
  absl::Status Listen();
  int Serve();
  ControlStream::Options LinkOptions();
  RankParts MakeParts();
  // The model, with a line in the log for each part of it.
  std::unique_ptr<Pipeline> Load(int world_rank);
  void TellReady(const AssignOrder& order);
  // Of the dialing, one rank of a host for all.
  void TellWaiting(const std::string& why);
  void TellConnected();
  // The watchdog's hooks, on other threads than the link's making. A fault may hang while it is
  // told and needs no lock: the process then ends by _exit, with the link in its place.
  void Tell(const std::string& fault) COGWHEEL_EXCLUDES(link_mutex_) {
    if (ControlStream* link = ReachableLink()) link->SendFault(fault);
  }
  void TellLeaving(int stops) COGWHEEL_EXCLUDES(link_mutex_) {
    admin_.Drain();
    const MutexLock lock(link_mutex_);  // a second signal may come while the link is taken down
    if (reachable_link_ != nullptr) reachable_link_->SendLeaving(/*now=*/stops > 1);
  }
  ControlStream* ReachableLink() COGWHEEL_EXCLUDES(link_mutex_) {
    const MutexLock lock(link_mutex_);
    return reachable_link_;
  }
  void SetReachableLink(ControlStream* link) COGWHEEL_EXCLUDES(link_mutex_) {
    const MutexLock lock(link_mutex_);
    reachable_link_ = link;
  }

  const WorkerSettings& settings_;
  const ModelDescription& model_;
  const int local_rank_;
  const bool replaces_killed_for_memory_;
  bool frontend_missed_;  // this process or the one before has said so
  const SystemClock clock_;
  RankAdmin admin_;
  const std::shared_ptr<std::atomic<int64_t>> read_bytes_ =
      std::make_shared<std::atomic<int64_t>>(0);
  Mutex link_mutex_;
  ControlStream* reachable_link_ COGWHEEL_GUARDED_BY(link_mutex_) = nullptr;
  Watchdog watchdog_;
  JobMailbox mailbox_{kMailboxCapacity};
  std::optional<PeerListener> listener_;
};

ControlStream::Options RankProcess::LinkOptions() {
  return {
      .frontend = settings_.frontend,
      .keys = {settings_.tls_ca, settings_.tls_certificate, settings_.tls_key,
               settings_.rank_token_file},
      .identity = IdentityOf(settings_, model_, {local_rank_, replaces_killed_for_memory_},
                             listener_->address()),
      .stop_requested = [this] { return watchdog_.stops() > 0; },
      .on_waiting = [this](const std::string& why) { TellWaiting(why); },
      .on_connected = [this] { TellConnected(); },
      .last_exchange = [this] { return watchdog_.recorder().last_sequence(); },
      .read_bytes = [this] { return read_bytes_->load(); },
      .on_epoch_over =
          [this](const std::string& why) { watchdog_.Leave(why, kExitGroupLost, /*abort=*/true); },
      .on_frontend_gone =
          [this](const std::string& why) {
            watchdog_.Leave(why, kExitFrontendLost, /*abort=*/false);
          }};
}

void RankProcess::TellWaiting(const std::string& why) {
  if (local_rank_ != 0 || std::exchange(frontend_missed_, true)) return;
  Log(LogLevel::kInfo, "waiting for the frontend at " + settings_.frontend, {{"reason", why}},
      Audience::kOnce);
}

void RankProcess::TellConnected() {
  if (local_rank_ != 0 || !frontend_missed_) return;
  Log(LogLevel::kInfo, "connected to the frontend at " + settings_.frontend, {}, Audience::kOnce);
}

RankParts RankProcess::MakeParts() {
  return {.connect =
              [this](const AssignOrder& order) {
                SetLogField("epoch", std::to_string(order.epoch));
                SetLogField("rank", std::to_string(order.world_rank));
                SetLogSpeaker(
                    absl::StrFormat("rank %d of %d", order.world_rank, settings_.mesh.size()),
                    /*first=*/local_rank_ == 0);
                return ConnectWorld(settings_, *std::move(listener_), order, local_rank_,
                                    watchdog_.recorder());
              },
          .load = [this](int world_rank) { return Load(world_rank); },
          .joined = [this](const AssignOrder& order) { TellReady(order); },
          .left_job = [this](const std::string& reason) { admin_.LeftJob(reason); },
          .drain_requested = [this] { return watchdog_.stops() > 0; }};
}

void RankProcess::TellReady(const AssignOrder& order) {
  admin_.Formed(order.epoch, order.world_rank);
  std::printf("{\"ready\":true,\"listen\":\"\",\"admin\":\"%s\"}\n", admin_.address().c_str());
  std::fflush(stdout);
}

std::unique_ptr<Pipeline> RankProcess::Load(int world_rank) {
  const auto begin = clock_.Now();
  auto pipeline =
      Pipeline::Create(*ServedFamily(), {.model_dir = settings_.model_dir,
                                         .variant = settings_.variant,
                                         .mesh = settings_.mesh,
                                         .world_rank = world_rank,
                                         .device = settings_.device,
                                         .device_idx = local_rank_,
                                         .dtype = *settings_.dtype,
                                         .cpu_threads = settings_.cpu_threads,
                                         .host_ranks = settings_.rank_count,
                                         .random_weights = settings_.random_weights,
                                         .wavefront_on_gpus = settings_.wavefront_on_gpus,
                                         .operations = admin_.operations(),
                                         .read_bytes = read_bytes_});
  std::vector<ComponentLoad> loads = pipeline->loads();
  loads.push_back({.component = "all",
                   .bytes = *read_bytes_,
                   .seconds = std::chrono::duration<double>(clock_.Now() - begin).count()});
  std::map<std::string, double> seconds;
  for (const ComponentLoad& load : loads) {
    Log(LogLevel::kInfo, "weights loaded",
        {{"component", load.component},
         {"seconds", absl::StrFormat("%.2f", load.seconds)},
         {"gigabytes", absl::StrFormat("%.2f", load.bytes / 1e9)},
         {"gigabytes_per_second", absl::StrFormat("%.2f", load.bytes / 1e9 / load.seconds)}},
        Audience::kMachines);
    seconds[load.component] = load.seconds;
  }
  Say(absl::StrFormat("weights loaded, %.2f GB in %.1f s", loads.back().bytes / 1e9,
                      loads.back().seconds));
  admin_.Loaded(std::move(seconds));
  return pipeline;
}

absl::Status RankProcess::Listen() {
  const absl::Status peers = Guard([&] { listener_.emplace(settings_.peer_host); });
  if (!peers.ok() || settings_.admin_listen.empty()) return peers;
  return admin_.Listen(settings_.admin_listen, local_rank_, watchdog_.recorder());
}

int RankProcess::Run() {
  SetLogField("group", settings_.group);
  SetLogSpeaker(RankName(settings_, local_rank_), /*first=*/local_rank_ == 0);
  // For `ps -e` and `top`, which show 15 bytes: the program may have been started as "exe".
  prctl(PR_SET_NAME, ("cogwheel-rank" + std::to_string(local_rank_)).c_str());
  watchdog_.Start();
  const absl::Status listening = Listen();
  if (!listening.ok()) {
    Log(LogLevel::kError, "cannot listen", {{"error", std::string(listening.message())}});
    return kExitInternal;
  }
  const int code = Serve();
  admin_.Close();
  return code;
}

int RankProcess::Serve() {
  const absl::StatusOr<std::unique_ptr<ControlStream>> link =
      ControlStream::Connect(LinkOptions(), mailbox_);
  if (absl::IsCancelled(link.status())) return kExitLeft;
  if (!link.ok()) {
    // That the frontend is away has been told, and is again by the rank started next.
    const bool away = absl::IsUnavailable(link.status());
    Log(LogLevel::kError, "cannot join", {{"error", std::string(link.status().message())}},
        away ? Audience::kMachines : Audience::kEverybody);
    return away ? kExitFrontendMissed : kExitRefused;
  }
  SetReachableLink(link->get());
  RankLoop loop(MakeParts(), mailbox_, **link, watchdog_);
  const int code = loop.Run();
  // A thread beside may be in an abort or a report that hangs.
  if (watchdog_.leaving()) _exit(code);
  SetReachableLink(nullptr);
  return code;
}

}  // namespace

int RunRank(const WorkerSettings& settings, const ModelDescription& model, const HostPlace& place,
            StopSignals& signals) {
  return RankProcess(settings, model, place, signals).Run();
}

}  // namespace cogwheel
