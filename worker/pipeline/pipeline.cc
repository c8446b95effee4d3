#include "worker/pipeline/pipeline.h"

#include <atomic>
#include <chrono>
#include <map>
#include <stdexcept>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/failpoint.h"
#include "worker/device/cpu_threads.h"
#include "worker/device/device.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/pipeline/conditioning.h"
#include "worker/pipeline/decode.h"
#include "worker/pipeline/denoise_loop.h"
#include "worker/pipeline/latent_gather.h"
#include "worker/pipeline/step_operations.h"
#include "worker/sequence/links.h"
#include "worker/weights/weights.h"

namespace cogwheel {
namespace {

at::ScalarType ToScalarType(Dtype dtype) {
  switch (dtype) {
    case Dtype::kBf16:
      return at::kBFloat16;
    case Dtype::kFp16:
      return at::kHalf;
    case Dtype::kFp32:
      break;
  }
  return at::kFloat;
}

class Stopwatch {
 public:
  // Seconds since the last call, or since the start.
  double Lap() {
    const auto now = std::chrono::steady_clock::now();
    return std::chrono::duration<double>(now - std::exchange(start_, now)).count();
  }

 private:
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

// Communicators that live as long as the group: one set for each mesh a job may have, and two for
// the decode over the whole world.
class GroupCommunicators {
 public:
  explicit GroupCommunicators(Communicator& world) : world_(world) {
    std::vector<int> all(world.size());
    for (int rank = 0; rank < world.size(); ++rank) all[rank] = rank;
    carries_ = world.Split(all, "carries");
    frames_ = world.Split(all, "frames");
  }

  const Communicator& world() const { return world_; }
  Communicator& carries() { return *carries_; }
  Communicator& frames() { return *frames_; }
  const Links& ForMesh(const Mesh& mesh) {
    const auto known = links_.find(mesh.ToString());
    if (known != links_.end()) return known->second;
    return links_.emplace(mesh.ToString(), MakeLinks(world_, mesh)).first->second;
  }

 private:
  Communicator& world_;
  std::unique_ptr<Communicator> carries_, frames_;
  std::map<std::string, Links> links_;  // by mesh
};

class CogVideoPipeline final : public Pipeline {
 public:
  CogVideoPipeline(const PipelineOptions& options, c10::Stream stream);

  int64_t Plan(const JobSpec& spec) override;
  PipelineSeconds Run(const JobSpec& spec, Communicator& world, ProgramJournal& journal,
                      FrameSink& sink, const StepCommandSource& command) override;
  int64_t work_counter() const override { return work_counter_; }
  std::vector<ComponentLoad> loads() const override { return loads_; }

 private:
  at::Device device() const { return stream_.device(); }
  // Calls load(weights) for a component and notes what it took.
  template <typename Load>
  void LoadComponent(const std::string& component, const Load& load);
  LatentLayout LayOut(const JobSpec& spec) const;
  Geometry MakeGeometry(const JobSpec& spec, const LatentLayout& layout) const;
  GroupCommunicators& Communicators(Communicator& world);
  at::Tensor MakeLatents(const JobSpec& spec, const Geometry& geometry, Communicator& world,
                         StepAgreement& agreement, FrameSink& sink, PipelineSeconds& seconds);
  void Emit(const JobSpec& spec, const at::Tensor& latents, Communicator& world,
            StepAgreement& agreement, FrameSink& sink);

  const PipelineOptions options_;
  const c10::Stream stream_;  // of all work of this rank
  const CheckpointConfigs configs_;
  const at::ScalarType dtype_;
  std::unique_ptr<Transformer> transformer_;
  std::unique_ptr<Vae> vae_;
  std::unique_ptr<PromptEncoder> text_encoder_;  // world rank 0
  PreviewMap preview_;
  std::vector<ComponentLoad> loads_;
  std::unique_ptr<GroupCommunicators> communicators_;
  std::atomic<int64_t> work_counter_{0};
};

CogVideoPipeline::CogVideoPipeline(const PipelineOptions& options, c10::Stream stream)
    : options_(options),
      stream_(stream),
      configs_(ReadCheckpointConfigs(options.model_dir)),
      dtype_(ToScalarType(options.dtype)),
      preview_(MakePreviewMap(configs_.cogwheel.preview, configs_.vae.latent_channels)) {
  const bool first = options.world_rank == 0;
  LoadComponent("transformer", [&](const Weights& weights) {
    transformer_ = Transformer::Load(configs_.transformer, weights, device(), dtype_);
  });
  LoadComponent("vae", [&](const Weights& weights) {
    vae_ = Vae::Load(configs_.vae, weights, device(), dtype_,
                     /*with_encoder=*/first && configs_.model_index.image_to_video());
  });
  if (!first) return;
  LoadComponent("text_encoder", [&](const Weights& weights) {
    text_encoder_ = PromptEncoder::Load(options.model_dir, configs_, weights, device(), dtype_);
  });
}

template <typename Load>
void CogVideoPipeline::LoadComponent(const std::string& component, const Load& load) {
  Stopwatch watch;
  const int64_t before = *options_.read_bytes;
  load(options_.random_weights
           ? Weights::Random()
           : Weights(options_.model_dir + "/" + component, options_.read_bytes));
  WaitFor(device());
  loads_.push_back({component, *options_.read_bytes - before, watch.Lap()});
}

LatentLayout CogVideoPipeline::LayOut(const JobSpec& spec) const {
  const TransformerConfig& config = configs_.transformer;
  const int64_t patch_size_t = config.patch_frames();
  const int64_t latent_frames = (spec.frames - 1) / config.temporal_compression_ratio + 1;
  const int64_t padded = DivCeil(latent_frames, patch_size_t) * patch_size_t;
  return {.frames = padded,
          .channels = configs_.vae.latent_channels,
          .height = spec.height / kPixelsPerLatent,
          .width = spec.width / kPixelsPerLatent,
          .leading_padding = padded - latent_frames,
          .patch_size_t = patch_size_t,
          .patch_size = config.patch_size};
}

Geometry CogVideoPipeline::MakeGeometry(const JobSpec& spec, const LatentLayout& layout) const {
  return {options_.mesh.ForGuidance(spec.guided()),
          options_.world_rank,
          {.text_count = spec.max_sequence_length, .video = layout.grid()}};
}

int64_t CogVideoPipeline::Plan(const JobSpec& spec) {
  const DeviceScope scope(stream_);
  const bool wants_image = configs_.model_index.image_to_video();
  if (wants_image != spec.has_image) {
    throw std::invalid_argument(wants_image ? "the model needs an image"
                                            : "the model takes no image");
  }
  const LatentLayout layout = LayOut(spec);
  const Geometry geometry = MakeGeometry(spec, layout);
  transformer_->Check(geometry);
  const int64_t branches = geometry.branch_count(spec.guided());
  const int64_t element = static_cast<int64_t>(at::elementSize(dtype_));
  const int64_t fp32 = sizeof(float);
  const int64_t latents = geometry.video_rows().size() * layout.row_features();
  // The sample, the image's half and the step's result; the prediction, two clean predictions and
  // the sum in fp32.
  const int64_t loop = latents * (3 * element + 4 * fp32);
  const int64_t text =
      branches * geometry.text_rows().size() * configs_.transformer.text_embed_dim * element;
  return transformer_->ActivationBytes(geometry, branches) + loop + text;
}

GroupCommunicators& CogVideoPipeline::Communicators(Communicator& world) {
  if (communicators_ == nullptr || &communicators_->world() != &world) {
    communicators_ = std::make_unique<GroupCommunicators>(world);
  }
  return *communicators_;
}

at::Tensor CogVideoPipeline::MakeLatents(const JobSpec& spec, const Geometry& geometry,
                                         Communicator& world, StepAgreement& agreement,
                                         FrameSink& sink, PipelineSeconds& seconds) {
  Stopwatch watch;
  agreement.AgreeToRun(BlockKind::kText);
  if (world.rank() == 0) sink.OnProgress(Stage::kTextEncode, 0, 1);
  Failpoint("rank.text");
  const at::Tensor text = ShareText({.spec = spec,
                                     .geometry = geometry,
                                     .encoder = text_encoder_.get(),
                                     .embed_dim = configs_.transformer.text_embed_dim,
                                     .dtype = dtype_,
                                     .device = device()},
                                    world);
  ++work_counter_;
  if (world.rank() == 0) sink.OnProgress(Stage::kTextEncode, 1, 1);
  const LatentLayout layout = LayOut(spec);
  NoiseStream noise(spec.seed, dtype_, device());
  at::Tensor image_rows;
  if (spec.has_image) {
    image_rows = ShareImage({.spec = spec,
                             .geometry = geometry,
                             .layout = layout,
                             .vae = *vae_,
                             .dtype = dtype_,
                             .device = device()},
                            noise, world);
  }
  WaitFor(device());
  seconds.text_encode = watch.Lap();

  const auto transformer =
      transformer_->Prepare(geometry, Communicators(world).ForMesh(geometry.mesh()));
  const at::Tensor rows =
      Denoise({.spec = spec,
               .geometry = geometry,
               .layout = layout,
               .transformer = *transformer,
               .scheduler = configs_.scheduler,
               .preview = preview_,
               .dtype = dtype_,
               .world = world,
               .agreement = agreement,
               .sink = sink,
               .work_counter = work_counter_,
               .step_operations = StepOperations(configs_.transformer, geometry,
                                                 geometry.branch_count(spec.guided())),
               .operations = *options_.operations},
              text, image_rows, noise);
  const at::Tensor latents = GatherLatents(geometry, layout, rows, world);
  WaitFor(device());
  seconds.denoise = watch.Lap();
  // The reference pads 1.5's frames at the front.
  return latents.narrow(1, layout.leading_padding, layout.frames - layout.leading_padding);
}

void CogVideoPipeline::Emit(const JobSpec& spec, const at::Tensor& latents, Communicator& world,
                            StepAgreement& agreement, FrameSink& sink) {
  if (spec.output == OutputKind::kLatent) {
    if (world.rank() != 0) return;
    const at::Tensor values = latents[0].to(at::kCPU, at::kFloat).contiguous();
    sink.OnLatents({values.const_data_ptr<float>(), static_cast<size_t>(values.numel())},
                   static_cast<int>(values.size(0)), static_cast<int>(values.size(1)),
                   static_cast<int>(values.size(2)), static_cast<int>(values.size(3)));
    return;
  }
  GroupCommunicators& communicators = Communicators(world);
  DecodeFrames({.vae = *vae_,
                .carries = communicators.carries(),
                .frames = communicators.frames(),
                .agreement = agreement,
                .sink = sink,
                .work_counter = work_counter_,
                .tiling = spec.vae_tiling,
                .wavefront_on_gpus = options_.wavefront_on_gpus},
               latents);
}

PipelineSeconds CogVideoPipeline::Run(const JobSpec& spec, Communicator& world,
                                      ProgramJournal& journal, FrameSink& sink,
                                      const StepCommandSource& command) {
  const c10::InferenceMode inference;
  const DeviceScope scope(stream_);
  if (world.size() != options_.mesh.size() || world.rank() != options_.world_rank) {
    throw std::logic_error("the world is not the one the model was loaded for");
  }
  PipelineSeconds seconds;
  const Geometry geometry = MakeGeometry(spec, LayOut(spec));
  StepAgreement agreement(world, journal, spec, PlanHash(spec, geometry.mesh()), command);
  const at::Tensor latents = MakeLatents(spec, geometry, world, agreement, sink, seconds);
  Stopwatch watch;
  Emit(spec, latents, world, agreement, sink);
  agreement.Close();
  seconds.decode = watch.Lap();
  return seconds;
}

}  // namespace

std::unique_ptr<Pipeline> Pipeline::Create(const PipelineOptions& options) {
  const c10::InferenceMode inference;
  SetCpuThreads(options.cpu_threads);
  Failpoint("rank.load");
  const bool on_gpu = options.device == DeviceKind::kCuda;
  const c10::Stream stream = OpenStream(
      on_gpu ? at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(options.device_idx)) : at::kCPU);
  const DeviceScope scope(stream);
  auto pipeline = std::make_unique<CogVideoPipeline>(options, stream);
  Failpoint("rank.warm_up");
  return pipeline;
}

}  // namespace cogwheel
