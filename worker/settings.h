#pragma once

#include <string>

#include <absl/status/statusor.h>

#include "cogwheel/config/v1/config.pb.h"
#include "worker/pipeline/pipeline.h"

namespace cogwheel {

// A worker's settings, checked and filled in.
struct WorkerSettings {
  std::string frontend;
  std::string model_dir;
  std::string model_name;  // empty: the checkpoint's
  std::string group;
  std::string peer_host;
  Mesh mesh;
  int rank_count = 1;  // on this host
  Dtype dtype = Dtype::kFp32;
  int step_timeout_seconds = 0;
  int cpu_threads = 1;  // of each rank
};

// INVALID_ARGUMENT names the setting, its value and what is legal: a mesh that cannot be, a device
// this build does not have. `cores` of this machine are shared by the ranks.
absl::StatusOr<WorkerSettings> CheckSettings(const config::v1::WorkerConfig& config, int cores);

// What the checkpoint refuses: fp16 for weights stored in bf16, whose range it does not have.
absl::Status CheckDtypeFits(Dtype dtype, const ModelDescription& model);

std::string DtypeName(Dtype dtype);

}  // namespace cogwheel
