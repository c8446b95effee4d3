#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "tests/support/journaled_ranks.h"
#include "worker/pipeline/pipeline.h"

namespace cogwheel {

// Keeps all that a job hands out.
class RecordingSink final : public FrameSink {
 public:
  void OnProgress(Stage stage, int step, int steps) override;
  void OnPreview(std::span<const uint8_t> rgb, int height, int width, int step, int steps) override;
  void OnFrames(std::span<const uint8_t> rgb, int frame_count, int height, int width) override;
  void OnLatents(std::span<const float> values, int frames, int channels, int height,
                 int width) override;

  struct Progress {
    Stage stage;
    int step, steps;
  };
  std::vector<Progress> progress;
  std::vector<std::vector<uint8_t>> previews;
  std::vector<int> frame_batches;  // frames of each OnFrames call
  std::vector<uint8_t> frames;     // [F, H, W, 3]
  std::vector<float> latents;      // [F, C, h, w]
};

struct RunResult {
  std::vector<std::string> errors;  // by world rank; empty: done
  std::vector<bool> cancelled;      // by world rank
  std::vector<bool> not_finite;     // by world rank: all have agreed so
  RecordingSink sink;               // world rank 0's
  std::vector<int64_t> planned_bytes;
  std::vector<int64_t> sent_bytes;
  std::vector<double> operations;
};

// The world that a job runs on.
struct JobWorld {
  Wire wire = Wire::kThreads;
  std::function<FlightRecorder::Hooks(int rank)> hooks = {};
  // Stands between a rank and its world, or does not: returns what the pipeline gets.
  struct View {
    Communicator& world;
    ProgramJournal& journal;
  };
  std::function<View(int rank, const View& own)> wrap = {};
};

// Loads the model on every rank of the mesh, threads of this process, and runs one job. An image of
// the job stays with rank 0 alone.
RunResult RunOnMesh(const std::string& model_dir, const Mesh& mesh, const JobSpec& spec,
                    const StepCommandSource& command = {}, Dtype dtype = Dtype::kFp32,
                    const JobWorld& on = {});

}  // namespace cogwheel
