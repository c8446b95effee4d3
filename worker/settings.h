#pragma once

#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>

#include "base/config.h"
#include "cogwheel/config/v1/config.pb.h"
#include "worker/pipeline/pipeline.h"

namespace cogwheel {

// A worker's settings, checked and filled in.
struct WorkerSettings {
  std::string frontend;
  std::string model_dir;
  std::string model_name;  // empty: the checkpoint's
  std::string variant;     // of its weight files; empty: the checkpoint's
  std::string group;
  std::string peer_host;
  std::string admin_listen;  // HOST:PORT of this host's first rank; empty: off
  std::string tls_ca, tls_certificate, tls_key, rank_token_file;  // to reach the frontend
  Mesh mesh;
  int rank_count = 1;  // on this host
  DeviceKind device = DeviceKind::kCpu;
  std::optional<Dtype> dtype;  // nothing: DefaultDtype's
  bool random_weights = false;
  bool wavefront_on_gpus = false;
  std::optional<double> device_peak_teraflops;  // nothing: by the device's name
  int step_timeout_seconds = 0;
  int shutdown_grace_seconds = 0;  // for the running job, after SIGTERM
  int cpu_threads = 1;             // of each rank: its share of the machine's cores, at least 1
};

// What this machine has for its ranks to share.
struct Machine {
  int cores = 1;  // that this process may use: UsableCpus
  int gpus = 0;
  std::string why_no_gpus, way_to_gpus;
};

// The defaults of every setting that has a fixed one.
config::v1::WorkerConfig DefaultWorkerConfig();

std::vector<SettingRange> WorkerRanges();

// How cogwheel-worker shows itself.
ProgramInfo WorkerProgram(const std::string& versions);

// INVALID_ARGUMENT names the setting, its value and what is legal: a mesh that cannot be, a device
// that the build or the machine does not have, more ranks than GPUs. A mesh of which no side is
// given is one rank on the CPU and DefaultMesh on GPUs.
absl::StatusOr<WorkerSettings> CheckSettings(const config::v1::WorkerConfig& config,
                                             const Machine& machine);

// The fastest mesh of so many GPUs, at most 16 of them: the guidance branches on two halves where
// that divides, the heads over the rest. Legal for every model: heads may be uneven or none, and an
// unguided job joins the halves to a ring.
Mesh DefaultMesh(int gpus);

// fp32 on the CPU; on a GPU bf16 for models with rotary embeddings, else the checkpoint's own.
Dtype DefaultDtype(DeviceKind device, const ModelDescription& model);

// What the checkpoint refuses: fp16 for weights stored in bf16, whose range it does not have.
absl::Status CheckDtypeFits(Dtype dtype, const ModelDescription& model);

}  // namespace cogwheel
