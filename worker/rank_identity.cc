#include "worker/rank_identity.h"

#include <array>

#include <unistd.h>

#include <absl/strings/str_format.h>

#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/device/gpu_count.h"
#include "worker/device/gpu_peak.h"
#include "worker/families/dtype_name.h"

namespace cogwheel {
namespace {

std::string HostName() {
  std::array<char, 256> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

RankIdentity IdentityOf(const WorkerSettings& settings, const ModelDescription& model,
                        const HostPlace& place, const std::string& peer_address) {
  const bool on_gpu = settings.device == DeviceKind::kCuda;
  return {.group = settings.group,
          .mesh = settings.mesh,
          .host = HostName(),
          .device = on_gpu ? "cuda:" + std::to_string(place.local_rank) : "cpu",
          .local_rank = place.local_rank,
          .code_version = COGWHEEL_VERSION,
          .nccl_version = on_gpu ? NcclVersion() : "",
          .dtype = DtypeName(*settings.dtype),
          .model = model,
          .peer_address = peer_address,
          .wavefront_on_gpus = settings.wavefront_on_gpus,
          .replaces_killed_for_memory = place.replaces_killed_for_memory};
}

RankAdmin::Identity ShownOf(const WorkerSettings& settings, const ModelDescription& model,
                            int local_rank) {
  const bool on_gpu = settings.device == DeviceKind::kCuda;
  RankAdmin::Identity shown = {.group = settings.group,
                               .model = model.name,
                               .version = COGWHEEL_VERSION,
                               .nccl_version = on_gpu ? NcclVersion() : ""};
  if (settings.device_peak_teraflops.has_value()) {
    shown.peak_operations = *settings.device_peak_teraflops * 1e12;
  } else if (on_gpu) {
    shown.peak_operations =
        PeakOperationsPerSecond(GpuName(local_rank), /*half=*/*settings.dtype != Dtype::kFp32);
  }
  return shown;
}

std::string RankName(const WorkerSettings& settings, int local_rank) {
  const bool one_host = settings.rank_count == settings.mesh.size();
  return absl::StrFormat("rank %d of %d%s", local_rank, settings.rank_count,
                         one_host ? "" : " on this host");
}

}  // namespace cogwheel
