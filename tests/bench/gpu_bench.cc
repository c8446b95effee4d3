// Times a GPU's operations, denoising steps, the VAE and whole jobs with random weights and data.
// One JSON object a line.
//   gpu_bench ops MODEL | vae FRAMES HEIGHT WIDTH        one GPU; frames in latent units
//   gpu_bench steps MODEL CFGxRINGxULYSSES STEPS         49 x 480 x 720 (1.5-5b: 81 x 768 x 1360)
//   gpu_bench job FOLDER DTYPE CFGxRINGxULYSSES STEPS    a checkpoint folder without weights
// MODEL: 2b, 5b or 1.5-5b.
#include <algorithm>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

#include <ATen/ATen.h>
#include <c10/core/Event.h>
#include <c10/core/InferenceMode.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <gtest/gtest.h>

#include "base/fnv.h"
#include "tests/gpu/gpu_ranks.h"
#include "tests/support/serial_decode.h"
#include "worker/device/device.h"
#include "worker/families/cogvideox/cogvideox_family.h"
#include "worker/families/cogvideox/preview_map.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/kernels/attention.h"
#include "worker/kernels/gated_residual.h"
#include "worker/kernels/qkv_heads.h"
#include "worker/pipeline/denoise_loop.h"
#include "worker/pipeline/pipeline.h"
#include "worker/sequence/links.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

const at::Device kGpu(at::kCUDA, 0);

struct Model {
  TransformerConfig config;
  at::ScalarType dtype;
  int frames, height, width;  // latent units, padding included
};

Model ModelNamed(const std::string& name) {
  if (name == "2b") return {{}, at::kHalf, 13, 60, 90};
  TransformerConfig config{
      .num_attention_heads = 48, .num_layers = 42, .use_rotary_positional_embeddings = true};
  if (name == "5b") return {config, at::kBFloat16, 13, 60, 90};
  config.patch_size_t = 2;
  config.sample_height = 96;
  config.sample_width = 170;
  config.sample_frames = 81;
  return {config, at::kBFloat16, 22, 96, 170};
}

Mesh MeshNamed(const char* text) {
  Mesh mesh;
  std::sscanf(text, "%dx%dx%d", &mesh.cfg, &mesh.ring, &mesh.ulysses);
  return mesh;
}

double Median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// Milliseconds on the device, median of `repeats`, each of several calls in a row.
double Time(const std::function<void()>& work, int repeats = 9, int calls = 5) {
  const c10::impl::VirtualGuardImpl gpu(at::kCUDA);
  std::vector<double> times;
  for (int i = 0; i < repeats + 2; ++i) {  // two to warm up
    c10::Event begin(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
    c10::Event end(at::kCUDA, c10::EventFlag::BACKEND_DEFAULT);
    begin.record(gpu.getStream(kGpu));
    for (int call = 0; call < calls; ++call) work();
    end.record(gpu.getStream(kGpu));
    end.synchronize();
    if (i >= 2) times.push_back(begin.elapsedTime(end) / calls);
  }
  return Median(times);
}

// An operation with what it must do at least: floating-point operations, bytes moved.
void Print(const char* name, double ms, double flop, double bytes) {
  std::printf("{\"op\":\"%s\",\"ms\":%.4f,\"tflops\":%.1f,\"gb_per_s\":%.0f}\n", name, ms,
              flop / ms / 1e9, bytes / ms / 1e6);
  std::fflush(stdout);
}

at::Tensor Normal(at::IntArrayRef sizes, at::ScalarType dtype) {
  return at::randn(sizes, at::TensorOptions(dtype).device(kGpu));
}

void TimeCeilings() {
  const at::Tensor a = Normal({8192, 8192}, at::kBFloat16), b = Normal({8192, 8192}, at::kBFloat16);
  at::Tensor out = at::empty_like(a);
  Print("ceiling: bf16 product 8192^3", Time([&] { at::mm_out(out, a, b); }),
        2 * std::pow(8192., 3), 0);
  const at::Tensor from = Normal({int64_t{1} << 29}, at::kBFloat16), to = at::empty_like(from);
  Print("ceiling: copy", Time([&] { to.copy_(from); }), 0, 2.0 * from.nbytes());
}

void TimeOps(const Model& model) {
  const int64_t N = model.config.num_attention_heads, E = N * 64, B = 2;
  const int64_t video =
      model.frames / model.config.patch_frames() * (model.height / 2) * (model.width / 2);
  const int64_t S = video + 226;
  const double x_bytes = double(B) * S * E * 2, square = 2.0 * B * S * E * E;
  at::Tensor rows = Normal({B, S, E}, model.dtype), update = Normal({B, S, E}, model.dtype);
  const auto parts = Normal({1, 6 * E}, model.dtype).expand({B, -1}).chunk(6, 1);
  const LayerNormWeights norm{Normal({E}, model.dtype), Normal({E}, model.dtype), 1e-5};
  const LayerNormWeights head_norm{Normal({64}, model.dtype), Normal({64}, model.dtype), 1e-6};
  const RowModulation m{parts[0], parts[1], parts[2], parts[3]};
  const auto linear = [&](int64_t in, int64_t out) {
    return LinearWeights{Normal({out, in}, model.dtype) / std::sqrt(double(in)),
                         Normal({out}, model.dtype)};
  };
  Print("norm, modulate", Time([&] { LayerNormModulate(rows, 226, norm, m); }), 0, 2 * x_bytes);
  // The residual would grow without bound and its norm with it; a gate of zero costs the same.
  const RowGates gates{at::zeros_like(parts[4]), at::zeros_like(parts[5])};
  Print("gated sum, norm, modulate",
        Time([&] { AddGatedNormModulate(rows, update, 226, gates, norm, m); }), 0, 4 * x_bytes);
  const QkvWeights qkv{linear(E, 3 * E), head_norm, head_norm};
  const double projection = Time([&] { Linear(rows, qkv.linear); });
  Print("qkv product", projection, 3 * square, 0);
  const at::Tensor angles = Normal({video, 64}, at::kFloat);
  const Rotation rotation = model.config.use_rotary_positional_embeddings
                                ? Rotation{angles.cos(), angles.sin()}
                                : Rotation{};
  const double heads = Time([&] { ProjectHeads(rows, qkv, N, 226, rotation); });
  Print("q, k norm and rotation (by difference)", heads - projection, 0, 4 * x_bytes);
  const LinearWeights to_out = linear(E, E), in = linear(E, 4 * E), out = linear(4 * E, E);
  Print("output product", Time([&] { Linear(rows, to_out); }), square, 0);
  Print("feed-forward in, GELU", Time([&] { LinearGelu(rows, in); }), 4 * square, 0);
  const at::Tensor hidden = LinearGelu(rows, in);
  Print("feed-forward out", Time([&] { Linear(hidden, out); }), 4 * square, 0);
  const Heads h = ProjectHeads(rows, qkv, N, 226, rotation);
  const at::Tensor q = h.q.transpose(1, 2), k = h.k.transpose(1, 2), v = h.v.transpose(1, 2);
  for (const auto& [kernel, name] :
       {std::pair(AttentionKernel::kHopper, "attention (CUTLASS, Hopper)"),
        std::pair(AttentionKernel::kCudnn, "attention (cuDNN)")}) {
    if (!CanAttend(kernel, q, k, v)) continue;
    const double ms = Time([&, kernel = kernel] { AttendWith(kernel, q, k, v); }, 5, 3);
    Print(name, ms, 4.0 * B * S * S * E, 0);
  }
}

void TimeVae(int64_t frames, int64_t height, int64_t width) {
  const auto vae = Vae::Load({}, RandomWeights(), kGpu, at::kBFloat16, /*with_encoder=*/false);
  const at::Tensor latents = Normal({1, 16, frames, height, width}, at::kBFloat16);
  std::printf("{\"vae_decode\":\"%ldx%ldx%ld\",\"ms\":%.1f}\n", (frames - 1) * 4 + 1, height * 8,
              width * 8, Time([&] { DecodeSerially(*vae, latents); }, 3, 1));
}

// When each denoising step was done.
class StepTimes final : public FrameSink {
 public:
  void OnProgress(Stage stage, int, int) override {
    if (stage == Stage::kDenoise) times_.push_back(std::chrono::steady_clock::now());
  }
  void OnPreview(std::span<const uint8_t>, int, int, int, int) override {}
  void OnFrames(std::span<const uint8_t> rgb, int, int, int) override {
    frames_.insert(frames_.end(), rgb.begin(), rgb.end());
  }
  void OnLatents(std::span<const float>, int, int, int, int) override {}

  std::vector<double> Milliseconds() const {
    std::vector<double> steps;
    for (size_t i = 1; i < times_.size(); ++i) {
      steps.push_back(std::chrono::duration<double, std::milli>(times_[i] - times_[i - 1]).count());
    }
    return steps;
  }
  size_t bytes() const { return frames_.size(); }
  // Of all frames: the same for the same bits.
  uint64_t fnv() const {
    Fnv fnv;
    fnv.AddText({frames_.data(), frames_.size()});
    return fnv.hash();
  }

 private:
  std::vector<std::chrono::steady_clock::time_point> times_;
  std::vector<char> frames_;
};

void PrintSteps(const std::string& name, const Mesh& mesh, const StepTimes& sink) {
  std::vector<double> steps = sink.Milliseconds();
  std::printf("{\"steps\":\"%s\",\"mesh\":\"%s\",\"median_ms\":%.2f,\"all_ms\":[", name.c_str(),
              mesh.ToString().c_str(), Median({steps.begin() + steps.size() / 4, steps.end()}));
  for (size_t i = 0; i < steps.size(); ++i) std::printf("%s%.2f", i ? "," : "", steps[i]);
  std::printf("]}\n");
  std::fflush(stdout);
}

// The denoising loop as the pipeline runs it, guided, with the model's scheduler.
void RunSteps(const std::string& name, const Mesh& mesh, int steps, Communicator& world,
              ProgramJournal& journal) {
  const Model model = ModelNamed(name);
  const auto begin = std::chrono::steady_clock::now();
  const auto transformer =
      Transformer::Load(model.config, RandomWeights(), at::Device(at::kCUDA), model.dtype);
  WaitFor(at::Device(at::kCUDA));
  const std::chrono::duration<double> loaded = std::chrono::steady_clock::now() - begin;
  const LatentLayout layout{.frames = model.frames,
                            .channels = 16,
                            .height = model.height,
                            .width = model.width,
                            .patch_size_t = model.config.patch_frames(),
                            .patch_size = 2};
  const Geometry geometry(mesh, world.rank(), {.text_count = 226, .video = layout.grid()});
  const MeshLinks links = MakeMeshLinks(world, mesh);
  const auto job = transformer->Prepare(geometry, links);
  const JobSpec spec{.steps = steps, .guidance_scale = 6, .scheduler = SchedulerKind::kDpm};
  const StepCommandSource run = [] { return StepCommand::kRun; };
  StepAgreement agreement(world, journal, spec, 0, run);
  StepTimes sink;
  std::atomic<int64_t> work{0};
  std::atomic<double> operations{0};
  std::string place;
  NoiseStream noise(1, model.dtype, at::Device(at::kCUDA));
  const at::Tensor text =
      at::randn({geometry.branch_count(spec.guided()), geometry.text_rows().size(), 4096},
                at::TensorOptions(model.dtype).device(at::kCUDA));
  const at::Tensor rows =
      Denoise({.spec = spec,
               .geometry = geometry,
               .layout = layout,
               .denoiser = *job,
               .scheduler = {.prediction_type = "v_prediction", .rescale_betas_zero_snr = true},
               .preview = MakePreviewMap(std::nullopt, 16),
               .dtype = model.dtype,
               .world = world,
               .agreement = agreement,
               .sink = sink,
               .work_counter = work,
               .place = place,
               .operations = operations},
              text, {}, noise);
  agreement.Close();
  EXPECT_TRUE(at::isfinite(rows).all().item<bool>());
  if (world.rank() != 0) return;
  std::printf("{\"weights\":\"%s\",\"random_fill_s\":%.2f}\n", name.c_str(), loaded.count());
  PrintSteps(name, mesh, sink);
}

void RunJob(const char* folder, Dtype dtype, const Mesh& mesh, int steps, Communicator& world,
            ProgramJournal& journal) {
  const auto pipeline = Pipeline::Create(*CogVideoXFamily(), {.model_dir = folder,
                                                              .mesh = mesh,
                                                              .world_rank = world.rank(),
                                                              .device = DeviceKind::kCuda,
                                                              .device_idx = world.rank(),
                                                              .dtype = dtype,
                                                              .cpu_threads = 8,
                                                              .random_weights = true});
  const ModelDescription model =
      CogVideoXFamily()->Describe({.model_dir = folder, .random_weights = true});
  const JobSpec spec{.job = "jobs/bench",
                     .prompt = "a red circle",
                     .frames = model.default_frames,
                     .height = model.default_height,
                     .width = model.default_width,
                     .fps = model.default_fps,
                     .steps = steps,
                     .guidance_scale = 6,
                     .scheduler = model.default_scheduler,
                     .seed = 1,
                     .max_sequence_length = model.max_text_tokens};
  for (const char* run : {"first", "second"}) {
    StepTimes sink;
    const auto begin = std::chrono::steady_clock::now();
    const PipelineSeconds seconds =
        pipeline->Run(spec, world, journal, sink, [] { return StepCommand::kRun; });
    const std::chrono::duration<double> all = std::chrono::steady_clock::now() - begin;
    if (world.rank() != 0) continue;
    std::printf(
        "{\"job\":\"%s\",\"run\":\"%s\",\"seconds\":%.2f,\"text\":%.2f,\"denoise\":%.2f,"
        "\"decode\":%.2f,\"frame_bytes\":%zu,\"frames_fnv\":\"%016" PRIx64 "\"}\n",
        folder, run, all.count(), seconds.text_encode, seconds.denoise, seconds.decode,
        sink.bytes(), sink.fnv());
    PrintSteps(folder, mesh, sink);
  }
}

Dtype DtypeNamed(const std::string& name) {
  return name == "bf16" ? Dtype::kBf16 : name == "fp16" ? Dtype::kFp16 : Dtype::kFp32;
}

int Main(const std::vector<std::string>& args) {
  constexpr std::chrono::seconds kLimit{300};
  if (args.size() == 4 && args[0] == "steps") {
    const Mesh mesh = MeshNamed(args[2].c_str());
    SpawnGpuRanks(
        mesh.size(),
        [&](Communicator& world, ProgramJournal& journal) {
          RunSteps(args[1], mesh, std::stoi(args[3]), world, journal);
        },
        kLimit);
  } else if (args.size() == 5 && args[0] == "job") {
    const Mesh mesh = MeshNamed(args[3].c_str());
    SpawnGpuRanks(
        mesh.size(),
        [&](Communicator& world, ProgramJournal& journal) {
          RunJob(args[1].c_str(), DtypeNamed(args[2]), mesh, std::stoi(args[4]), world, journal);
        },
        kLimit);
  } else if (!args.empty() && (args[0] == "ops" || args[0] == "vae")) {
    const c10::InferenceMode inference;
    const DeviceScope scope(OpenStream(kGpu));
    if (args[0] == "ops") {
      TimeCeilings();
      TimeOps(ModelNamed(args.at(1)));
    } else {
      TimeVae(std::stoll(args.at(1)), std::stoll(args.at(2)), std::stoll(args.at(3)));
    }
  } else {
    std::fprintf(stderr, "gpu_bench: see the head of tests/bench/gpu_bench.cc\n");
    return 2;
  }
  return testing::Test::HasFailure() ? 1 : 0;
}

}  // namespace
}  // namespace cogwheel

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  return cogwheel::Main({argv + 1, argv + argc});
}
