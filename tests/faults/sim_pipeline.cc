#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdlib>
#include <span>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "base/failpoint.h"
#include "worker/pipeline/pipeline.h"
#include "worker/pipeline/step_agreement.h"
#include "worker/served_family.h"

// A pipeline without a model for the rank program of tests/faults: it takes time, talks to its
// peers and agrees on steps like the real one, and its frames are a pure function of prompt, seed,
// steps and group size (tests/faults/simulation.py computes the same). No torch.
//
// Times come from the environment, in milliseconds: SIM_LOAD_MS, SIM_TEXT_MS, SIM_STEP_MS,
// SIM_CHUNK_MS. With SIM_IMAGE_REQUIRED it is a model that needs a picture, and does not look at
// it.
namespace cogwheel {
namespace {

using std::chrono::milliseconds;

constexpr int kChunks = 2;
constexpr int kWordBytes = 8;

milliseconds FromEnvironment(const char* name, int otherwise) {
  const char* value = std::getenv(name);
  return milliseconds(value == nullptr ? otherwise : std::atoi(value));
}

void Work(milliseconds time) { std::this_thread::sleep_for(time); }

// The finaliser of SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators).
uint64_t Mix(uint64_t x) {
  x += 0x9E3779B97F4A7C15;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
  return x ^ (x >> 31);
}

uint64_t FirstState(const JobSpec& spec, int world_size) {
  uint64_t state = Mix(spec.seed);
  for (const char byte : spec.prompt) state = Mix(state ^ static_cast<unsigned char>(byte));
  return Mix(state ^ static_cast<uint64_t>(world_size));
}

template <typename Value>
std::span<std::byte> Bytes(Value& value) {
  return std::as_writable_bytes(std::span(&value, 1));
}

class SimPipeline final : public Pipeline {
 public:
  explicit SimPipeline(const PipelineOptions& options) : options_(options) {}

  JobFootprint Plan(const JobSpec& spec) override {
    return {.denoise = int64_t{spec.frames} * spec.height * spec.width * 3};
  }
  JobPlace place() const override { return {.words = place_}; }
  int64_t work_counter() const override { return work_counter_; }

  PipelineSeconds Run(const JobSpec& spec, Communicator& world, ProgramJournal& journal,
                      FrameSink& sink, const StepCommandSource& command) override {
    if (world.size() != options_.mesh.size()) throw std::logic_error("not the world of this rank");
    StepAgreement agreement(world, journal, spec, PlanHash(spec, options_.mesh), command);
    uint64_t state = ShareText(spec, world, agreement, sink);
    for (int step = 0; step < spec.steps; ++step) {
      agreement.AgreeToRun();
      place_ = "step " + std::to_string(step + 1) + " of " + std::to_string(spec.steps);
      Failpoint("rank.step");
      Work(step_time_);
      state = Exchange(state, world);
      ++work_counter_;
      if (world.rank() == 0) sink.OnProgress(Stage::kDenoise, step + 1, spec.steps);
    }
    if (spec.output == OutputKind::kLatent) {
      EmitLatents(spec, state, world, sink);
    } else {
      Decode(spec, state, world, agreement, sink);
    }
    agreement.Conclude();
    return {};
  }

 private:
  uint64_t ShareText(const JobSpec& spec, Communicator& world, StepAgreement& agreement,
                     FrameSink& sink) {
    agreement.AgreeToRun();
    place_ = "text encoder";
    if (world.rank() == 0) sink.OnProgress(Stage::kTextEncode, 0, 1);
    Failpoint("rank.text");
    uint64_t state = 0;
    if (world.rank() == 0) {
      Work(text_time_);
      state = FirstState(spec, world.size());
    }
    Broadcast(world, 0, Bytes(state), nullptr);
    ++work_counter_;
    if (world.rank() == 0) sink.OnProgress(Stage::kTextEncode, 1, 1);
    return state;
  }

  // Every rank's part is needed for the next state.
  static uint64_t Exchange(uint64_t state, Communicator& world) {
    uint64_t mine = Mix(state + world.rank() + 1);
    std::vector<uint64_t> all(world.size());
    std::vector<std::span<std::byte>> parts;
    for (uint64_t& part : all) parts.push_back(Bytes(part));
    AllGather(world, Bytes(mine), parts, nullptr);
    for (const uint64_t part : all) state = Mix(state ^ part);
    return state;
  }

  // Each rank makes its share of a chunk's bytes, rank 0 gathers them.
  static std::vector<std::byte> MakeBytes(uint64_t state, uint64_t first_word, int64_t word_count,
                                          Communicator& world) {
    static_assert(std::endian::native == std::endian::little);
    const auto begin_of = [&](int rank) { return word_count * rank / world.size(); };
    std::vector<uint64_t> mine(begin_of(world.rank() + 1) - begin_of(world.rank()));
    for (size_t i = 0; i < mine.size(); ++i) {
      mine[i] = Mix(state + first_word + begin_of(world.rank()) + i);
    }
    std::vector<std::byte> all(world.rank() == 0 ? word_count * kWordBytes : 0);
    std::vector<std::span<std::byte>> parts;
    for (int rank = 0; world.rank() == 0 && rank < world.size(); ++rank) {
      parts.push_back(std::span(all).subspan(begin_of(rank) * kWordBytes,
                                             (begin_of(rank + 1) - begin_of(rank)) * kWordBytes));
    }
    Gather(world, 0, std::as_bytes(std::span(mine)), parts, nullptr);
    return all;
  }

  void Decode(const JobSpec& spec, uint64_t state, Communicator& world, StepAgreement& agreement,
              FrameSink& sink) {
    const int64_t frame_bytes = int64_t{spec.height} * spec.width * 3;
    const int chunks = std::min(kChunks, spec.frames);
    for (int chunk = 0; chunk < chunks; ++chunk) {
      const int begin = spec.frames * chunk / chunks, end = spec.frames * (chunk + 1) / chunks;
      agreement.AgreeToRun();
      place_ = "decode";
      Failpoint("rank.decode");
      Work(chunk_time_);
      const int64_t first_word = begin * frame_bytes / kWordBytes;
      const std::vector<std::byte> rgb =
          MakeBytes(state, first_word, (end - begin) * frame_bytes / kWordBytes, world);
      ++work_counter_;
      if (world.rank() != 0) continue;
      sink.OnFrames({reinterpret_cast<const uint8_t*>(rgb.data()), rgb.size()}, end - begin,
                    spec.height, spec.width);
      sink.OnProgress(Stage::kDecode, chunk + 1, chunks);
    }
  }

  static void EmitLatents(const JobSpec& spec, uint64_t state, Communicator& world,
                          FrameSink& sink) {
    if (world.rank() != 0) return;
    const int frames = (spec.frames - 1) / 4 + 1, height = spec.height / 8, width = spec.width / 8;
    std::vector<float> values(size_t{1} * frames * height * width);
    for (size_t i = 0; i < values.size(); ++i) {
      values[i] = static_cast<float>(Mix(state + i) >> 40) / (1 << 24);
    }
    sink.OnLatents(values, frames, 1, height, width);
  }

  const PipelineOptions options_;
  const milliseconds text_time_ = FromEnvironment("SIM_TEXT_MS", 5);
  const milliseconds step_time_ = FromEnvironment("SIM_STEP_MS", 10);
  const milliseconds chunk_time_ = FromEnvironment("SIM_CHUNK_MS", 5);
  std::atomic<int64_t> work_counter_{0};
  std::string place_;  // of the job that runs
};

// Serves a folder that it never opens.
class SimFamily final : public Family {
 public:
  ModelDescription Describe(const ModelSource& source) const override {
    return {.name = source.model_name.empty() ? "sim" : source.model_name,
            .digest = std::string(64, '5'),
            .default_frames = 9,
            .default_height = 16,
            .default_width = 16,
            .default_fps = 8,
            .default_steps = 4,
            .default_guidance_scale = 1,
            .frames_multiple = 8,
            .max_frames = 49,
            .max_area = 1 << 20,
            .max_height = 1024,
            .max_width = 1024,
            .max_steps = 200,
            .max_text_tokens = 64,
            .image_required = std::getenv("SIM_IMAGE_REQUIRED") != nullptr};
  }
  std::unique_ptr<Model> Load(const LoadOptions& /*options*/) const override {
    throw std::logic_error("a simulated model has no tensors");
  }
  std::unique_ptr<Footprints> CountFootprints(const LoadOptions& /*options*/) const override {
    throw std::logic_error("a simulated model has no tensors");
  }
};

}  // namespace

std::unique_ptr<Pipeline> Pipeline::Create(const Family& /*family*/,
                                           const PipelineOptions& options) {
  Failpoint("rank.load");
  Work(FromEnvironment("SIM_LOAD_MS", 20));
  Failpoint("rank.warm_up");
  return std::make_unique<SimPipeline>(options);
}

std::unique_ptr<Family> ServedFamily() { return std::make_unique<SimFamily>(); }

}  // namespace cogwheel
