#include "worker/diagnosis.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <system_error>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "base/finding.h"
#include "base/hub_cache.h"
#include "base/model_path.h"
#include "proto/contract/mesh_limit.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/device/memory_room.h"
#include "worker/doctor/checkpoint_checks.h"
#include "worker/doctor/gpu_checks.h"
#include "worker/doctor/memory_checks.h"
#include "worker/families/dtype_name.h"
#include "worker/rank/guard.h"
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
  Print(fits.ok() ? Finding{FindingLevel::kOk, "dtype",
                            absl::StrCat("computes in ", DtypeName(dtype)), ""}
                  : FaultOf("dtype", std::string(fits.message()), "leave --dtype out"));
}

std::vector<Mesh> MeshesOf(const WorkerSettings& settings, const Machine& machine) {
  const bool on_gpus = settings.device == DeviceKind::kCuda;
  const int most = std::min(on_gpus ? machine.gpus : machine.cores, kMostRanks);
  std::vector<Mesh> meshes;
  for (int ranks = 1; ranks <= most; ranks *= 2) {
    meshes.push_back(on_gpus ? DefaultMesh(ranks) : Mesh{.ulysses = ranks});
  }
  return meshes;
}

// Nothing where the GPUs cannot be asked, which another finding tells.
std::optional<MemoryToShare> RoomOf(const WorkerSettings& settings) {
  if (settings.device == DeviceKind::kCuda) {
    const std::optional<GpuRoom> gpu = FullestGpu(settings.rank_count);
    if (!gpu.has_value()) return std::nullopt;
    return MemoryToShare{.bytes = gpu->free_bytes,
                         .limit = absl::StrCat("GPU ", gpu->device),
                         .each = true,
                         .beside_tensors = 512 << 20};
  }
  const MemoryRoom room = HostMemoryRoom(/*processes=*/1);
  return MemoryToShare{
      .bytes = room.bytes, .limit = room.limit, .each = room.limit.starts_with("ulimit")};
}

void CheckMemoryOf(const WorkerSettings& settings, const Machine& machine,
                   const std::string& model_dir, const ModelDescription& model) {
  const std::optional<MemoryToShare> room = RoomOf(settings);
  if (!room.has_value()) return;
  const Dtype dtype = settings.dtype.value_or(DefaultDtype(settings.device, model));
  Findings findings;
  const absl::Status counted = Guard([&] {
    const std::unique_ptr<Footprints> footprints =
        ServedFamily()->CountFootprints({.model_dir = model_dir,
                                         .variant = settings.variant,
                                         .device = settings.device,
                                         .dtype = dtype,
                                         .random_weights = settings.random_weights});
    findings = CheckMemory(*footprints, DefaultShape(model), settings.mesh,
                           MeshesOf(settings, machine), *room);
  });
  if (!counted.ok()) findings = {FaultOf("memory", std::string(counted.message()), "report it")};
  Finding& finding = findings.front();
  if (finding.level == FindingLevel::kFault && dtype == Dtype::kFp32) {
    finding.way_out += "; --dtype bf16 takes about half";
  }
  Print(findings);
}

// For a refusal of FindModel that says no way out itself.
std::string WayToAModel(const std::string& given, const absl::Status& refused) {
  if (absl::IsUnavailable(refused)) return "the disk fails: see dmesg, then try again";
  std::error_code error;
  if (!std::filesystem::exists(given, error) && error == std::errc::permission_denied) {
    return "chmod a+rx the folders on that path, or run as their owner";
  }
  if (IsRepositoryName(given))
    return absl::StrCat("hf download ", given, ", or name another model");
  return "name a diffusers folder, or ORG/NAME that lies in the hub's local cache";
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
                  WayToAModel(config.model(), folder.status())));
    return 0;
  }
  const CheckpointView checkpoint =
      CheckCheckpoint(*ServedFamily(), {.model_dir = *folder,
                                        .model_name = config.model_name(),
                                        .variant = config.variant(),
                                        .random_weights = config.random_weights()});
  Print(checkpoint.findings);
  if (!checkpoint.model.has_value() || !settings.ok()) return 0;
  CheckDtype(*settings, *checkpoint.model);
  CheckMemoryOf(*settings, machine, *folder, *checkpoint.model);
  return 0;
}

}  // namespace cogwheel
