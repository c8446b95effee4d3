#include "worker/settings.h"

#include <algorithm>

#include <absl/strings/escaping.h>
#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "base/utf8.h"
#include "proto/contract/config_comments.h"
#include "proto/contract/mesh_limit.h"

namespace cogwheel {
namespace {

constexpr int kLastPort = 65535;
constexpr char kLoopback[] = "127.0.0.1";

// Of ranks on this host: each takes a GPU, unless they compute on the CPU.
int MostRanksHere(const config::v1::WorkerConfig& config, const Machine& machine) {
  const bool on_gpus = config.device() != "cpu" && machine.gpus > 0;
  return on_gpus ? std::min(kMostRanks, machine.gpus) : kMostRanks;
}

// A mesh that is not given is the best of the GPUs that this worker would take: all, or as many as
// there are to be ranks.
absl::StatusOr<Mesh> CheckMesh(const config::v1::WorkerConfig& config, const Machine& machine) {
  if (!config.has_cfg_parallel() && !config.has_ring() && !config.has_ulysses()) {
    if (config.device() == "cpu" || machine.gpus == 0) return Mesh{};
    return DefaultMesh(config.has_ranks() ? config.ranks() : machine.gpus);
  }
  const auto value = [](bool has, int set) { return has ? set : 1; };
  const Mesh mesh{.cfg = value(config.has_cfg_parallel(), config.cfg_parallel()),
                  .ring = value(config.has_ring(), config.ring()),
                  .ulysses = value(config.has_ulysses(), config.ulysses())};
  if (mesh.size() <= kMostRanks) return mesh;
  const bool one_host = config.peer_host() == kLoopback;
  const int most = one_host ? MostRanksHere(config, machine) : kMostRanks;
  return absl::InvalidArgumentError(absl::StrCat(
      "a mesh of cfg_parallel ", mesh.cfg, " x ring ", mesh.ring, " x ulysses ", mesh.ulysses,
      " = ", mesh.size(), " ranks is more than ", kMostRanks, "; the nearest legal mesh is ",
      NearestMeshFlags(mesh.cfg, mesh.ring, mesh.ulysses, most)));
}

// A number of ranks alone makes no mesh on the CPU.
absl::Status CheckRankCount(const config::v1::WorkerConfig& config, const Machine& machine,
                            const Mesh& mesh, int ranks) {
  const bool one_host = config.peer_host() == kLoopback;
  if (one_host ? ranks == mesh.size() : ranks >= 1 && ranks <= mesh.size()) return absl::OkStatus();
  const bool sides = config.has_cfg_parallel() || config.has_ring() || config.has_ulysses();
  std::string legal = one_host ? absl::StrCat("the only legal value on one host is ", mesh.size())
                               : absl::StrCat("legal is 1 to ", mesh.size());
  if (!sides && ranks > kMostRanks) {
    const int most = MostRanksHere(config, machine);
    legal = absl::StrCat("the nearest legal are --ranks ", most, " --ulysses ", most);
  } else if (!sides && ranks > 1) {
    legal = absl::StrCat("add --ulysses ", ranks);
  } else if (one_host && ranks >= 1 && ranks < mesh.size()) {
    legal += "; where others are on other hosts, add --peer-host";
  }
  return absl::InvalidArgumentError(
      absl::StrCat("ranks ", ranks, " do not fit the mesh cfg_parallel ", mesh.cfg, " x ring ",
                   mesh.ring, " x ulysses ", mesh.ulysses, " = ", mesh.size(), "; ", legal));
}

// A GPU for each rank, unless the CPU is asked for or there is no GPU.
absl::StatusOr<DeviceKind> CheckDevice(const std::string& device, int ranks,
                                       const Machine& machine) {
  if (device == "cpu" || (device.empty() && machine.gpus == 0)) return DeviceKind::kCpu;
  if (!device.empty() && device != "cuda") {
    return absl::InvalidArgumentError(absl::StrCat("device \"", device, "\" is not cpu or cuda"));
  }
  if (machine.gpus == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("device cuda: ", machine.why_no_gpus, "; the nearest legal value is cpu",
                     machine.way_to_gpus.empty() ? "" : "; for GPUs: ", machine.way_to_gpus));
  }
  if (ranks > machine.gpus) {
    return absl::InvalidArgumentError(absl::StrCat(
        "ranks ", ranks, " are more than the GPUs of this host; the most is ", machine.gpus));
  }
  return DeviceKind::kCuda;
}

absl::StatusOr<std::optional<Dtype>> CheckDtype(const std::string& name) {
  if (name.empty()) return std::nullopt;
  if (name == "fp32") return Dtype::kFp32;
  if (name == "bf16") return Dtype::kBf16;
  if (name == "fp16") return Dtype::kFp16;
  return absl::InvalidArgumentError(absl::StrCat("dtype \"", name, "\" is not fp32, bf16 or fp16"));
}

absl::Status CheckFrontend(const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.starts_with("[") && host.ends_with("]");
  int port = 0;
  if (colon != std::string::npos && colon > 0 &&
      (bracketed || host.find(':') == std::string::npos) &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 1 && port <= kLastPort) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("frontend \"", address, "\" is not HOST:PORT with a port within 1..", kLastPort,
                   ", for example 127.0.0.1:50051 or [::1]:50051"));
}

// Room for PORT + k of every rank.
absl::Status CheckAdminListen(const std::string& address, int rank_count) {
  if (address.empty()) return absl::OkStatus();
  const size_t colon = address.rfind(':');
  int port = -1;
  const bool number =
      colon != std::string::npos && colon > 0 && absl::SimpleAtoi(address.substr(colon + 1), &port);
  if (number && port >= 0 && port + rank_count - 1 <= kLastPort) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("admin_listen \"", address,
                                                 "\" is not HOST:PORT with a port within 0..",
                                                 kLastPort - rank_count + 1));
}

// Which part of the group this host's ranks are, and what they compute on.
absl::Status TakePlace(const config::v1::WorkerConfig& config, const Machine& machine,
                       WorkerSettings& settings) {
  const absl::StatusOr<Mesh> mesh = CheckMesh(config, machine);
  if (!mesh.ok()) return mesh.status();
  settings.mesh = *mesh;
  settings.rank_count = config.has_ranks() ? config.ranks() : mesh->size();
  settings.peer_host = config.peer_host();
  const absl::Status ranks = CheckRankCount(config, machine, *mesh, settings.rank_count);
  if (!ranks.ok()) return ranks;
  const absl::StatusOr<DeviceKind> device =
      CheckDevice(config.device(), settings.rank_count, machine);
  if (!device.ok()) return device.status();
  settings.device = *device;
  const absl::StatusOr<std::optional<Dtype>> dtype = CheckDtype(config.dtype());
  if (!dtype.ok()) return dtype.status();
  settings.dtype = *dtype;
  settings.cpu_threads = std::max(1, machine.cores / settings.rank_count);
  return absl::OkStatus();
}

// A checkpoint's own name is checked with the checkpoint.
absl::Status CheckModelName(const std::string& name) {
  constexpr size_t kMaxBytes = 128;
  if (name.size() > kMaxBytes) {
    return absl::InvalidArgumentError(
        absl::StrCat("model_name has ", name.size(), " bytes; the most is ", kMaxBytes));
  }
  if (FirstBadUtf8Byte(name) == std::string::npos && !HasControlCharacter(name)) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("model_name \"", absl::CHexEscape(name),
                                                 "\" is not UTF-8 without control characters"));
}

// Who this host's ranks speak to, and where they may be asked.
absl::Status TakeAddresses(const config::v1::WorkerConfig& config, WorkerSettings& settings) {
  settings.frontend = config.frontend();
  const absl::Status frontend = CheckFrontend(settings.frontend);
  if (!frontend.ok()) return frontend;
  settings.tls_ca = config.tls_ca();
  settings.tls_certificate = config.tls_certificate();
  settings.tls_key = config.tls_key();
  settings.rank_token_file = config.rank_token_file();
  settings.admin_listen = config.admin_listen();
  return CheckAdminListen(settings.admin_listen, settings.rank_count);
}

}  // namespace

ProgramInfo WorkerProgram(const std::string& versions) {
  return {.name = "cogwheel-worker",
          .summary =
              "Runs the ranks of a group on this host. They share the CPUs that affinity "
              "and cgroup quotas leave to it.",
          .versions = versions,
          .comments = ConfigComments(),
          .ranges = WorkerRanges(),
          .examples = {"cogwheel-worker --model models/shapes",
                       "cogwheel-worker --frontend HOST:50051 --model ORG/NAME --ulysses 4"},
          .exit_codes = {{"0", "Left as asked."},
                         {"2", "A setting, the mesh or the checkpoint cannot be used as it is."},
                         {"70", "Its ranks failed again and again: the log says of what."},
                         {"75",
                          "It cannot run now: for example the disk fails, or an address is in "
                          "use."},
                         {"128+N", "Signal N ended its ranks again and again."}}};
}

config::v1::WorkerConfig DefaultWorkerConfig() {
  config::v1::WorkerConfig config;
  config.set_frontend("127.0.0.1:50051");
  config.set_group("default");
  config.set_peer_host(kLoopback);
  config.set_step_timeout_seconds(600);
  config.set_shutdown_grace_seconds(3600);
  return config;
}

std::vector<SettingRange> WorkerRanges() {
  return {{"ranks", 1, kMostRanks},
          {"cfg_parallel", 1, 2},
          {"ring", 1, kMostRanks},
          {"ulysses", 1, kMostRanks},
          {"step_timeout_seconds", 1},
          {"shutdown_grace_seconds", 0},
          {"device_peak_teraflops", kAboveZero}};
}

absl::StatusOr<WorkerSettings> CheckSettings(const config::v1::WorkerConfig& given,
                                             const Machine& machine) {
  config::v1::WorkerConfig config = DefaultWorkerConfig();
  config.MergeFrom(given);
  if (config.model().empty()) {
    return absl::InvalidArgumentError(
        "model is missing; legal is --model with a checkpoint folder, or ORG/NAME in the hub's "
        "local cache");
  }
  config::v1::WorkerConfig alone = config;
  alone.clear_ranks();  // the mesh says more about them
  const absl::Status ranges = CheckRanges(alone, WorkerRanges());
  if (!ranges.ok()) return ranges;
  WorkerSettings settings;
  settings.model_dir = config.model();
  settings.model_name = config.model_name();
  const absl::Status name = CheckModelName(settings.model_name);
  if (!name.ok()) return name;
  settings.variant = config.variant();
  settings.step_timeout_seconds = config.step_timeout_seconds();
  settings.shutdown_grace_seconds = config.shutdown_grace_seconds();
  if (config.has_device_peak_teraflops()) {
    settings.device_peak_teraflops = config.device_peak_teraflops();
  }
  settings.group = config.group().empty() ? "default" : config.group();
  settings.random_weights = config.random_weights();
  settings.wavefront_on_gpus = config.wavefront_on_gpus();
  absl::Status legal = TakePlace(config, machine, settings);
  if (legal.ok()) legal = TakeAddresses(config, settings);
  if (!legal.ok()) return legal;
  return settings;
}

Mesh DefaultMesh(int gpus) {
  const int ranks = std::clamp(gpus, 1, kMostRanks);
  if (ranks % 2 == 0) return {.cfg = 2, .ulysses = ranks / 2};
  return {.ulysses = ranks};
}

Dtype DefaultDtype(DeviceKind device, const ModelDescription& model) {
  if (device == DeviceKind::kCpu) return Dtype::kFp32;
  return model.rotary ? Dtype::kBf16 : model.stored_dtype;
}

absl::Status CheckDtypeFits(Dtype dtype, const ModelDescription& model) {
  if (dtype != Dtype::kFp16 || model.stored_dtype != Dtype::kBf16) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("dtype fp16 cannot hold model \"", model.name,
                                                 "\", stored in bf16; the nearest legal value is "
                                                 "bf16"));
}

}  // namespace cogwheel
