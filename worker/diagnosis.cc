#include "worker/diagnosis.h"

#include <cstdio>
#include <string>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "base/finding.h"
#include "base/model_path.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/doctor/checkpoint_checks.h"
#include "worker/doctor/gpu_checks.h"
#include "worker/served_family.h"
#include "worker/version.h"

namespace cogwheel {
namespace {

// At once, so that what was found is known also where the next look ends the process.
void Print(const Finding& finding) {
  std::printf("%s\n", ToJsonLine(finding).c_str());
  std::fflush(stdout);
}

void Print(const Findings& findings) {
  for (const Finding& finding : findings) Print(finding);
}

void PrintFact(const char* name, const std::string& value) {
  Print({FindingLevel::kFact, name, value, ""});
}

// What else is wrong is told too: a device that is not there is taken for the CPU.
absl::StatusOr<WorkerSettings> SettingsWithAnyDevice(config::v1::WorkerConfig& config,
                                                     const Machine& machine) {
  if (machine.gpus == 0 && config.device() == "cuda") config.set_device("cpu");
  return CheckSettings(config, machine);
}

void CheckDtype(const WorkerSettings& settings, const ModelDescription& model) {
  const Dtype dtype = settings.dtype.value_or(DefaultDtype(settings.device, model));
  const absl::Status fits = CheckDtypeFits(dtype, model);
  Print(fits.ok() ? Finding{FindingLevel::kOk, "dtype", "computes in " + DtypeName(dtype), ""}
                  : FaultOf("dtype", std::string(fits.message()), "leave --dtype out"));
}

}  // namespace

int Diagnose(config::v1::WorkerConfig config, const Machine& machine) {
  PrintFact("worker", absl::StrReplaceAll(VersionText(), {{"\n", ", "}}));
  Print(GpuFacts());
  const bool cuda_asked = config.device() == "cuda";
  const absl::StatusOr<WorkerSettings> settings = SettingsWithAnyDevice(config, machine);
  const int ranks = settings.ok() ? settings->rank_count : 1;
  if (settings.ok()) {
    const bool on_gpus = settings->device == DeviceKind::kCuda;
    PrintFact("device", on_gpus ? "cuda" : "cpu");
    PrintFact("ranks", absl::StrCat(ranks));
    if (on_gpus) PrintFact("nccl", NcclVersion());
  } else {
    Print(FaultOf("settings", std::string(settings.status().message()), "see generate --help"));
  }
  if (config.device() != "cpu" || cuda_asked) Print(CheckGpus(cuda_asked, ranks));
  const absl::StatusOr<std::string> folder = FindModel(config.model());
  if (!folder.ok()) {
    Print(FaultOf("checkpoint", std::string(folder.status().message()),
                  absl::StrCat("hf download ", config.model(), ", or name another model")));
    return 0;
  }
  const CheckpointView checkpoint =
      CheckCheckpoint(*ServedFamily(), {.model_dir = *folder,
                                        .model_name = config.model_name(),
                                        .variant = config.variant(),
                                        .random_weights = config.random_weights()});
  Print(checkpoint.findings);
  if (checkpoint.model.has_value() && settings.ok()) CheckDtype(*settings, *checkpoint.model);
  return 0;
}

}  // namespace cogwheel
