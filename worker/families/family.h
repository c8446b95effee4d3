#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "worker/families/footprint.h"
#include "worker/families/model_description.h"

// What sets one family of models apart from another, behind one interface. Plain C++: model.h has
// what computes.
namespace cogwheel {

struct Model;  // model.h

enum class DeviceKind { kCpu, kCuda };

// Which checkpoint to describe, and what of it.
struct ModelSource {
  std::string model_dir;
  std::string model_name;       // empty: the checkpoint's own
  std::string variant;          // of its weight files ("fp16"); empty: the checkpoint's own
  bool random_weights = false;  // for benchmarks: the folder needs no weight files
};

// Where a rank's model goes, and from where.
struct LoadOptions {
  std::string model_dir;
  std::string variant;  // as ModelSource's
  int world_rank = 0;   // rank 0 alone loads what encodes the prompt and the picture
  DeviceKind device = DeviceKind::kCpu;
  int device_idx = 0;
  Dtype dtype = Dtype::kFp32;
  bool random_weights = false;  // for benchmarks: the folder needs no weight files
  // Rises while weights are read or made, on any thread, so that a slow disk can be told from a
  // hang.
  std::shared_ptr<std::atomic<int64_t>> read_bytes = std::make_shared<std::atomic<int64_t>>(0);
};

// How long a component took from its files to the device.
struct ComponentLoad {
  std::string component;  // "transformer"
  int64_t bytes = 0;      // of the files, or made at random
  double seconds = 0;
  // Of the stored bytes that every rank reads of it, in the order of names; 0 where there are none.
  uint32_t crc32c = 0;
};

// Stateless; any thread.
class Family {
 public:
  virtual ~Family() = default;

  // Throws std::invalid_argument on a missing or damaged checkpoint, with the file and what is
  // wrong with it; where the disk fails, what DescribeFailure calls kIo. Cheap: reads samples of
  // the weights.
  virtual ModelDescription Describe(const ModelSource& source) const = 0;

  // Loads the weights, on the thread that will compute, inside its DeviceScope and inference mode.
  // Throws as Describe.
  virtual std::unique_ptr<Model> Load(const LoadOptions& options) const = 0;

  // What jobs would take with these options (folder, device, dtype). Reads the configurations
  // alone. Throws as Describe.
  virtual std::unique_ptr<Footprints> CountFootprints(const LoadOptions& options) const = 0;
};

}  // namespace cogwheel
