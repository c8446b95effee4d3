#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/families/family.h"
#include "worker/families/footprint.h"
#include "worker/journal/program_journal.h"
#include "worker/pipeline/frame_sink.h"
#include "worker/pipeline/job_spec.h"
#include "worker/sequence/mesh.h"

// From a job to frames, on one rank of a group. Plain C++ on the outside: rank/ and rpc/ see no
// torch.
namespace cogwheel {

struct PipelineOptions {
  std::string model_dir;
  std::string variant;  // of its weight files; empty: the checkpoint's own
  Mesh mesh;
  int world_rank = 0;  // rank 0 alone loads what encodes prompt and picture
  DeviceKind device = DeviceKind::kCpu;
  int device_idx = 0;
  Dtype dtype = Dtype::kFp32;
  int cpu_threads = 1;          // of this rank
  int host_ranks = 1;           // that share this host's memory
  bool random_weights = false;  // for benchmarks: the folder needs no weight files
  // Spread the decode over GPUs too. Off until it has run on several.
  bool wavefront_on_gpus = false;
  // Rises with every denoising step by its floating-point operations.
  std::shared_ptr<std::atomic<double>> operations = std::make_shared<std::atomic<double>>(0);
  // Rises while weights are read or made, on any thread, so that a slow disk can be told from a
  // hang.
  std::shared_ptr<std::atomic<int64_t>> read_bytes = std::make_shared<std::atomic<int64_t>>(0);
};

// kFail is never asked for: a rank has found that the job cannot go on.
enum class StepCommand : int32_t { kRun = 0, kCancel = 1, kStop = 2, kFail = 3 };

// Asked on world rank 0 before every step and every round of decode chunks; the answer is agreed by
// all ranks. kCancel ends the job (JobCancelled), kStop ends it because the group is going away
// (JobCancelled with stop = true).
using StepCommandSource = std::function<StepCommand()>;

// Thrown by Run on every rank at the same point of the program.
struct JobCancelled : std::exception {
  explicit JobCancelled(bool stop) : stop(stop) {}
  const char* what() const noexcept override {
    return stop ? "the group is stopping" : "the job was cancelled";
  }
  bool stop;
};

// A rank's values were not finite. Thrown by Run on every rank at the same point of the program, as
// JobCancelled is: the job alone has failed. what(): "not finite: step 3 of 50 on rank 2".
struct NotFinite : std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Where in a job a rank is.
struct JobPlace {
  std::string words;  // "step 3 of 50"
  // All can leave the job here (Communicator::Abandon): between devices no exchange is under way
  // on any rank that waits for this one, and no link is being made. On GPUs: from the links' making
  // to the first step, and in a decode on rank 0 alone.
  bool hosts_only = true;
};

// Seconds of each stage on this rank.
struct PipelineSeconds {
  double text_encode = 0, denoise = 0, decode = 0;
};

// One rank's model and its part of every job. Owned by the rank thread.
class Pipeline {
 public:
  virtual ~Pipeline() = default;

  // Loads the weights. Throws on a damaged checkpoint.
  static std::unique_ptr<Pipeline> Create(const Family& family, const PipelineOptions& options);

  // What the job takes on this rank, by stage. Throws std::invalid_argument when this rank cannot
  // run the job, c10::OutOfMemoryError when it has no room for it. No communication.
  virtual JobFootprint Plan(const JobSpec& spec) = 0;

  // What the job's owner is to be told, one line each, valid UTF-8. Of world rank 0, after Plan.
  virtual std::vector<std::string> Warnings(const JobSpec&) const { return {}; }

  // What its decode should take, in its steps (decode_cost.h). After Plan.
  virtual double DecodeInSteps(const JobSpec&) const { return 0; }

  // Runs the job with all other ranks of `world` (size = the mesh's); `journal` is the world's.
  // `sink` is used on world rank 0 only.
  virtual PipelineSeconds Run(const JobSpec& spec, Communicator& world, ProgramJournal& journal,
                              FrameSink& sink, const StepCommandSource& command) = 0;

  // Where Run is, or was when it threw. Of the rank thread.
  virtual JobPlace place() const { return {}; }

  // Rises with every unit of work (layer, convolution; on a GPU step, chunk): the heartbeat shows
  // it. Thread-safe.
  virtual int64_t work_counter() const = 0;

  // In the order of loading.
  virtual std::vector<ComponentLoad> loads() const { return {}; }
};

}  // namespace cogwheel
