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
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/device/gpu_count.h"
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

// One line for people, as every refusal of our programs.
int Refuse(const absl::Status& status) {
  std::fprintf(stderr, "cogwheel-worker: %s\n", std::string(status.message()).c_str());
  return absl::IsUnavailable(status) ? kExitGroupLost : kExitRefused;
}

// Takes --local-rank K, which no user types, out of the arguments.
std::optional<int> TakeLocalRank(std::vector<char*>& argv) {
  for (size_t i = 1; i + 1 < argv.size(); ++i) {
    if (std::strcmp(argv[i], "--local-rank") != 0) continue;
    const char* text = argv[i + 1];
    int value = 0;
    std::from_chars(text, text + std::strlen(text), value);
    argv.erase(argv.begin() + i, argv.begin() + i + 2);
    return value;
  }
  return std::nullopt;
}

// Takes --doctor, which no user types, out of the arguments.
bool TakeDoctor(std::vector<char*>& argv) {
  return std::erase_if(argv, [](const char* word) { return std::strcmp(word, "--doctor") == 0; }) >
         0;
}

Machine ThisMachine() {
  GpuCount gpus = CountGpus();
  return {.cores = UsableCpus(), .gpus = gpus.count, .why_no_gpus = std::move(gpus.why_none)};
}

// With the checkpoint's folder found, which a setting may only name.
absl::StatusOr<WorkerSettings> TakeSettings(const config::v1::WorkerConfig& config) {
  absl::StatusOr<WorkerSettings> settings = CheckSettings(config, ThisMachine());
  if (!settings.ok()) return settings;
  const absl::StatusOr<std::string> folder = FindModel(settings->model_dir);
  if (!folder.ok()) return folder.status();
  settings->model_dir = *folder;
  return settings;
}

int Launch(const WorkerSettings& settings, const std::vector<char*>& argv, StopSignals& signals) {
  LauncherOptions options{.argv = {argv.begin(), argv.end()},
                          .rank_count = settings.rank_count,
                          .drain_limit = std::chrono::seconds(settings.shutdown_grace_seconds)};
  options.argv[0] = "/proc/self/exe";
  const SystemClock clock;
  Launcher launcher(std::move(options), signals, clock, [](const std::string& line) {
    std::printf("%s\n", line.c_str());
    std::fflush(stdout);
  });
  return launcher.Run();
}

int Main(int argc, char** argv) {
  ForbidNvlinkMulticast();
  StopSignals signals;
  std::vector<char*> arguments(argv, argv + argc);
  const std::optional<int> local_rank = TakeLocalRank(arguments);
  const bool doctor = TakeDoctor(arguments);
  SetLogContext({{"program", "cogwheel-worker"}});

  config::v1::WorkerConfig config;
  const absl::StatusOr<ConfigOutcome> outcome = LoadConfig(
      static_cast<int>(arguments.size()), arguments.data(),
      {.name = "cogwheel-worker",
       .summary = "Runs the ranks of a group on this host. They share the CPUs that affinity and "
                  "cgroup quotas leave to it.",
       .versions = VersionText()},
      config);
  if (!outcome.ok()) return Refuse(outcome.status());
  if (*outcome == ConfigOutcome::kPrinted) return 0;
  if (doctor) return Diagnose(config, ThisMachine());
  absl::StatusOr<WorkerSettings> settings = TakeSettings(config);
  if (!settings.ok()) return Refuse(settings.status());

  ModelDescription model;
  const absl::Status described = Guard([&] {
    model = ServedFamily()->Describe(settings->model_dir, settings->model_name,
                                     settings->random_weights);
  });
  if (!described.ok()) {
    const int code = Refuse(described);
    // The disk failed. Ranks read the checkpoint themselves, again and again within the budget.
    const bool try_again = code == kExitGroupLost && !local_rank.has_value();
    return try_again ? Launch(*settings, arguments, signals) : code;
  }
  if (!settings->dtype.has_value()) settings->dtype = DefaultDtype(settings->device, model);
  const absl::Status fits = CheckDtypeFits(*settings->dtype, model);
  if (!fits.ok()) return Refuse(fits);
  if (local_rank.has_value()) return RunRank(*settings, model, *local_rank, signals);
  return Launch(*settings, arguments, signals);
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) { return cogwheel::Main(argc, argv); }
