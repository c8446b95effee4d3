#include "tests/worker/pipeline/pipeline_runner.h"

#include <chrono>
#include <thread>

#include "worker/families/cogvideox/cogvideox_family.h"
#include "worker/pipeline/failure.h"

namespace cogwheel {

void RecordingSink::OnProgress(Stage stage, int step, int steps) {
  progress.push_back({stage, step, steps});
}

void RecordingSink::OnPreview(std::span<const uint8_t> rgb, int, int, int, int) {
  previews.emplace_back(rgb.begin(), rgb.end());
}

void RecordingSink::OnFrames(std::span<const uint8_t> rgb, int frame_count, int, int) {
  frame_batches.push_back(frame_count);
  frames.insert(frames.end(), rgb.begin(), rgb.end());
}

void RecordingSink::OnLatents(std::span<const float> values, int, int, int, int) {
  latents.assign(values.begin(), values.end());
}

RunResult RunOnMesh(const std::string& model_dir, const Mesh& mesh, const JobSpec& spec,
                    const StepCommandSource& command, Dtype dtype, const JobWorld& on) {
  const int size = mesh.size();
  const auto ranks = MakeJournaledWorld(size, std::chrono::seconds(100), on.wire, on.hooks);
  RunResult outcome;
  outcome.errors.resize(size);
  outcome.planned_bytes.resize(size);
  outcome.operations.resize(size);
  std::vector<char> cancelled(size), not_finite(size);
  std::vector<RecordingSink> sinks(size);
  const auto run = [&](int rank) {
    try {
      const PipelineOptions options{.model_dir = model_dir,
                                    .mesh = mesh,
                                    .world_rank = rank,
                                    .dtype = dtype,
                                    .cpu_threads = 1};
      const auto pipeline = Pipeline::Create(*CogVideoXFamily(), options);
      JobSpec own = spec;
      if (rank != 0) own.image_rgb.clear();
      outcome.planned_bytes[rank] = pipeline->Plan(own).denoise;
      const JournaledWorld& world = ranks[rank].world;
      const JobWorld::View own_view{*world.communicator, *world.journal};
      const JobWorld::View view = on.wrap ? on.wrap(rank, own_view) : own_view;
      pipeline->Run(own, view.world, view.journal, sinks[rank], command);
      outcome.operations[rank] = *options.operations;
    } catch (...) {
      const Failure failure = DescribeFailure(std::current_exception());
      outcome.errors[rank] = failure.message;
      cancelled[rank] = failure.kind == FailureKind::kCancelled;
      not_finite[rank] = failure.kind == FailureKind::kNotFinite;
      const bool agreed = cancelled[rank] || not_finite[rank];
      if (!agreed) ranks[rank].world.communicator->Abort(failure.message);
    }
  };
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) threads.emplace_back(run, rank);
  for (std::thread& thread : threads) thread.join();
  for (const JournaledRank& rank : ranks) {
    outcome.sent_bytes.push_back(rank.world.communicator->sent_bytes());
  }
  outcome.cancelled.assign(cancelled.begin(), cancelled.end());
  outcome.not_finite.assign(not_finite.begin(), not_finite.end());
  outcome.sink = std::move(sinks[0]);
  return outcome;
}

}  // namespace cogwheel
