#include <charconv>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/log.h"
#include "base/model_path.h"
#include "base/usable_cpus.h"
#include "proto/contract/utf8.h"
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

// The checkpoint is described here and not by each rank, at each start: it may have changed.
int Launch(const WorkerSettings& settings, const std::vector<char*>& argv, StopSignals& signals) {
  const auto describe = [&settings]() -> absl::StatusOr<std::vector<std::string>> {
    const absl::StatusOr<ModelDescription> model = Describe(settings);
    if (model.ok()) {
      return std::vector<std::string>{kModel, ToText(*model), kModelFolder, settings.model_dir};
    }
    Refuse(model.status());
    return model.status();
  };
  LauncherOptions options{.argv = {argv.begin(), argv.end()},
                          .rank_count = settings.rank_count,
                          .describe = describe,
                          .drain_limit = std::chrono::seconds(settings.shutdown_grace_seconds)};
  options.argv[0] = "/proc/self/exe";
  const SystemClock clock;
  Launcher launcher(std::move(options), signals, clock, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  return launcher.Run();
}

// One rank. Started without its launcher it describes the model itself.
int Run(WorkerSettings settings, const std::string& local_rank,
        const std::optional<std::string>& described, bool replaces_killed, StopSignals& signals) {
  const absl::StatusOr<ModelDescription> model =
      described.has_value() ? ToModelDescription(*described) : Describe(settings);
  if (!model.ok()) return Refuse(model.status());
  settings.dtype = DtypeOf(settings, *model);
  int value = 0;
  std::from_chars(local_rank.data(), local_rank.data() + local_rank.size(), value);
  return RunRank(settings, *model, {value, replaces_killed}, signals);
}

int Main(int argc, char** argv) {
  KeepHeapTight();
  ForbidNvlinkMulticast();
  StopSignals signals;
  std::vector<char*> arguments(argv, argv + argc);
  const std::optional<std::string> local_rank = Take("--local-rank", arguments);
  const std::optional<std::string> described = Take(kModel, arguments);
  const std::optional<std::string> found = Take(kModelFolder, arguments);
  const bool doctor = Take("--doctor", arguments).has_value();
  const bool killed = Take(kReplacesKilledForMemory, arguments).has_value();
  SetLogContext({{"program", "cogwheel-worker"}});

  config::v1::WorkerConfig config = DefaultWorkerConfig();
  const absl::StatusOr<ConfigOutcome> outcome = LoadConfig(
      static_cast<int>(arguments.size()), arguments.data(), WorkerProgram(VersionText()), config);
  if (!outcome.ok()) return Refuse(outcome.status());
  if (*outcome == ConfigOutcome::kPrinted) return 0;
  if (doctor) return Diagnose(config, ThisMachine());
  const absl::StatusOr<WorkerSettings> settings = TakeSettings(config, found);
  if (!settings.ok()) return Refuse(settings.status());

  if (local_rank.has_value()) return Run(*settings, *local_rank, described, killed, signals);
  return Launch(*settings, arguments, signals);
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) { return cogwheel::Main(argc, argv); }
