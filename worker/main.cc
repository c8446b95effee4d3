#include <charconv>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/listening.h"
#include "base/log.h"
#include "base/log_format.h"
#include "base/model_path.h"
#include "base/usable_cpus.h"
#include "base/utf8.h"
#include "proto/contract/library_logs.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/described_model.h"
#include "worker/device/gpu_count.h"
#include "worker/device/heap.h"
#include "worker/diagnosis.h"
#include "worker/launch/launcher.h"
#include "worker/rank/exit_code.h"
#include "worker/rank/guard.h"
#include "worker/rank_process.h"
#include "worker/served_family.h"
#include "worker/settings.h"
#include "worker/version.h"

// cogwheel-worker: the launcher of this host's ranks, and, started by itself with --local-rank K,
// one rank; started by `cogwheel doctor` with --doctor, neither.
namespace cogwheel {
namespace {

// What a launcher found out for its ranks, which no user types.
constexpr char kModel[] = "--described-model", kModelFolder[] = "--found-model";

// One line for people, as every refusal of our programs.
int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "cogwheel-worker: %s\n",
               WithoutControls(std::string(status.message())).c_str());
  const bool may_be_well_later = absl::IsUnavailable(status) || absl::IsResourceExhausted(status);
  return may_be_well_later ? kExitGroupLost : kExitRefused;
}

int ToNumber(const std::string& text) {
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Takes a flag that no user types, with its value, out of the arguments.
std::optional<std::string> Take(const char* flag, std::vector<char*>& argv) {
  for (size_t i = 1; i + 1 < argv.size(); ++i) {
    if (std::strcmp(argv[i], flag) != 0) continue;
    std::string value = argv[i + 1];
    argv.erase(argv.begin() + i, argv.begin() + i + 2);
    return value;
  }
  return std::nullopt;
}

Dtype DtypeOf(const WorkerSettings& settings, const ModelDescription& model) {
  return settings.dtype.value_or(DefaultDtype(settings.device, model));
}

Machine ThisMachine() {
  GpuCount gpus = CountGpus();
  return {.cores = UsableCpus(),
          .gpus = gpus.count,
          .why_no_gpus = std::move(gpus.why_none),
          .way_to_gpus = std::move(gpus.way_out)};
}

// With the checkpoint's folder found, which a setting may only name. `found`: by the launcher, so
// that all ranks read the snapshot that it described.
absl::StatusOr<WorkerSettings> TakeSettings(const config::v1::WorkerConfig& config,
                                            const std::optional<std::string>& found) {
  absl::StatusOr<WorkerSettings> settings = CheckSettings(config, ThisMachine());
  if (!settings.ok()) return settings;
  const absl::StatusOr<std::string> folder =
      found.has_value() ? *found : FindModel(settings->model_dir);
  if (!folder.ok()) return folder.status();
  settings->model_dir = *folder;
  return settings;
}

absl::StatusOr<ModelDescription> Describe(const WorkerSettings& settings) {
  ModelDescription model;
  absl::Status status = Guard([&] {
    model = ServedFamily()->Describe({.model_dir = settings.model_dir,
                                      .model_name = settings.model_name,
                                      .variant = settings.variant,
                                      .random_weights = settings.random_weights});
  });
  if (status.ok()) status = CheckDtypeFits(DtypeOf(settings, model), model);
  if (!status.ok()) return status;
  return model;
}

// For people; machines read the line on stdout.
void TellReady(const WorkerSettings& settings) {
  const bool many = settings.rank_count > 1;
  Say(std::to_string(settings.rank_count) + (many ? " ranks are" : " rank is") + " ready (group " +
      settings.group + "); next: cogwheel generate --server HOST:PORT" +
      " --prompt TEXT, with the frontend's --listen address");
}

// What would fail in each rank, again and again, is told once.
absl::Status CheckAdminPorts(const WorkerSettings& settings) {
  absl::Status status;
  for (int k = 0; k < settings.rank_count && status.ok() && !settings.admin_listen.empty(); ++k) {
    status = CheckCanListen({"--admin-listen", AdminAddress(settings.admin_listen, k),
                             " (of " + RankName(settings, k) + ")", "another cogwheel-worker"});
  }
  return status;
}

// The checkpoint is described here and not by each rank, at each start: it may have changed.
int Launch(const WorkerSettings& settings, const std::vector<char*>& argv, StopSignals& signals) {
  DescriptionFile file;
  const auto describe = [&settings, &file]() -> absl::StatusOr<std::vector<std::string>> {
    const absl::StatusOr<ModelDescription> model = Describe(settings);
    const absl::StatusOr<std::string> path = model.ok() ? file.Write(*model) : model.status();
    if (path.ok()) return std::vector<std::string>{kModel, *path, kModelFolder, settings.model_dir};
    Refuse(path.status());
    return path.status();
  };
  LauncherOptions options{.argv = {argv.begin(), argv.end()},
                          .program = "/proc/self/exe",
                          .name =
                              [&settings](int local_rank) {
                                return "cogwheel-worker: " + RankName(settings, local_rank) +
                                       " (group " + settings.group + ")";
                              },
                          .rank_count = settings.rank_count,
                          .describe = describe,
                          .drain_limit = std::chrono::seconds(settings.shutdown_grace_seconds)};
  const SystemClock clock;
  Launcher launcher(std::move(options), signals, clock, [&settings](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
    TellReady(settings);
  });
  return launcher.Run();
}

// One rank. Started without its launcher it describes the model itself.
int Run(WorkerSettings settings, const HostPlace& place,
        const std::optional<std::string>& described, StopSignals& signals) {
  const absl::StatusOr<ModelDescription> model =
      described.has_value() ? ReadDescription(*described) : Describe(settings);
  if (!model.ok()) return Refuse(model.status());
  settings.dtype = DtypeOf(settings, *model);
  return RunRank(settings, *model, place, signals);
}

int Main(int argc, char** argv) {
  KeepHeapTight();
  ForbidNvlinkMulticast();
  std::signal(SIGPIPE, SIG_IGN);  // of whoever read the log; each rank does so itself
  StopSignals signals;
  std::vector<char*> arguments(argv, argv + argc);
  const std::optional<std::string> local_rank = Take("--local-rank", arguments);
  const std::optional<std::string> described = Take(kModel, arguments);
  const std::optional<std::string> found = Take(kModelFolder, arguments);
  const bool doctor = Take("--doctor", arguments).has_value();
  const bool killed = Take(kReplacesKilledForMemory, arguments).has_value();
  const bool missed = Take(kFrontendMissed, arguments).has_value();
  SetLogContext({{"program", "cogwheel-worker"}});
  TakeLibraryLogs();

  config::v1::WorkerConfig config = DefaultWorkerConfig();
  const absl::StatusOr<ConfigOutcome> outcome = LoadConfig(
      static_cast<int>(arguments.size()), arguments.data(), WorkerProgram(VersionText()), config);
  if (!outcome.ok()) return Refuse(outcome.status());
  if (*outcome == ConfigOutcome::kPrinted) return 0;
  const absl::Status format = UseLogFormat(config.log_format());
  if (!format.ok()) return Refuse(format);
  if (doctor) return Diagnose(config, ThisMachine());
  const absl::StatusOr<WorkerSettings> settings = TakeSettings(config, found);
  if (!settings.ok()) return Refuse(settings.status());

  if (local_rank.has_value()) {
    return Run(*settings, {ToNumber(*local_rank), killed, missed}, described, signals);
  }
  const absl::Status ports = CheckAdminPorts(*settings);
  if (!ports.ok()) return Refuse(ports);
  return Launch(*settings, arguments, signals);
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) { return cogwheel::Main(argc, argv); }
