#include "worker/pipeline/pipeline.h"

#include <atomic>
#include <stdexcept>
#include <utility>

#include <ATen/ATen.h>
#include <c10/core/InferenceMode.h>

#include "base/failpoint.h"
#include "base/stopwatch.h"
#include "worker/device/cpu_memory.h"
#include "worker/device/cpu_threads.h"
#include "worker/device/device.h"
#include "worker/families/model.h"
#include "worker/pipeline/conditioning.h"
#include "worker/pipeline/decode.h"
#include "worker/pipeline/decode_estimate.h"
#include "worker/pipeline/denoise_loop.h"
#include "worker/pipeline/finite.h"
#include "worker/pipeline/group_links.h"
#include "worker/pipeline/latent_gather.h"
#include "worker/pipeline/memory_plan.h"

namespace cogwheel {
namespace {

// One job on its way through the stages; borrowed but for its shapes.
struct StagedJob {
  const JobSpec& spec;
  const LatentLayout layout;
  const Geometry geometry;
  Communicator& world;
  StepAgreement& agreement;
  FrameSink& sink;
  MemoryPlan::Run& memory;

  bool first() const { return world.rank() == 0; }
};

// What the denoising starts from, on this rank.
struct Inputs {
  at::Tensor text;        // [B, T_local, text_width], of its branches
  at::Tensor image_rows;  // [1, V_local, C·pt·p·p]; undefined without a picture
  NoiseStream noise;      // before the latents' draw
};

class FamilyPipeline final : public Pipeline {
 public:
  FamilyPipeline(const PipelineOptions& options, c10::Stream stream, std::unique_ptr<Model> model)
      : options_(options),
        stream_(stream),
        dtype_(ScalarTypeOf(options.dtype)),
        model_(std::move(model)),
        memory_(*model_->footprints, {options.mesh, options.world_rank, options.wavefront_on_gpus},
                stream.device(), options.host_ranks) {
    // A GPU's host runs ahead of the work: what it begins tells nothing, a block as a whole does.
    if (!device().is_cuda()) ListenToUnits();
  }

  JobFootprint Plan(const JobSpec& spec) override;
  std::vector<std::string> Warnings(const JobSpec& spec) const override;
  double DecodeInSteps(const JobSpec& spec) const override {
    const LatentLayout layout = LayOut(spec);
    return EstimateDecode(spec, *model_, layout, GeometryOf(spec, layout), options_);
  }
  PipelineSeconds Run(const JobSpec& spec, Communicator& world, ProgramJournal& journal,
                      FrameSink& sink, const StepCommandSource& command) override;
  JobPlace place() const override { return {.words = place_, .hosts_only = hosts_only_}; }
  int64_t work_counter() const override { return work_counter_; }
  std::vector<ComponentLoad> loads() const override { return model_->loads; }

 private:
  at::Device device() const { return stream_.device(); }
  LatentLayout LayOut(const JobSpec& spec) const {
    return model_->denoiser->LayOut({spec.frames, spec.height, spec.width});
  }
  Geometry GeometryOf(const JobSpec& spec, const LatentLayout& layout) const {
    return {options_.mesh.ForGuidance(spec.guided()),
            options_.world_rank,
            {.text_count = spec.max_sequence_length, .video = layout.grid()}};
  }
  void ListenToUnits();
  // A stage begins, with or without exchanges between devices.
  void Enter(const StagedJob& job, std::string place, bool device_exchanges);
  // All that the job needs: no stage may make one, as GPUs meet in that.
  void MakeLinks(const StagedJob& job);

  // The three stages.
  Inputs Encode(const StagedJob& job);
  // → [1, F, C, h, w], whole on every rank, without padding.
  at::Tensor MakeLatents(const StagedJob& job, Inputs inputs);
  void Emit(const StagedJob& job, const at::Tensor& latents);

  const PipelineOptions options_;
  const c10::Stream stream_;  // of all work of this rank
  const at::ScalarType dtype_;
  const std::unique_ptr<Model> model_;
  MemoryPlan memory_;
  std::unique_ptr<GroupLinks> links_;  // of the latest job's world
  ProgramJournal* journal_ = nullptr;  // of the latest job
  std::string place_;                  // of the job that runs
  bool hosts_only_ = true;
  std::atomic<int64_t> work_counter_{0};
};

JobFootprint FamilyPipeline::Plan(const JobSpec& spec) {
  const DeviceScope scope(stream_);
  if (model_->takes_picture != spec.has_image) {
    throw std::invalid_argument(model_->takes_picture ? "the model needs an image"
                                                      : "the model takes no image");
  }
  if (spec.vae_tiling) {
    model_->codec->CheckTiling({.frames = spec.frames, .height = spec.height, .width = spec.width},
                               spec.has_image);
  }
  if (model_->prompt_encoder != nullptr) {
    model_->prompt_encoder->Check(spec.prompt, spec.max_sequence_length);
    if (spec.guided()) {
      model_->prompt_encoder->Check(spec.negative_prompt, spec.max_sequence_length);
    }
  }
  memory_.CheckRoom(ShapeOf(spec));
  return memory_.Expect(ShapeOf(spec));
}

std::vector<std::string> FamilyPipeline::Warnings(const JobSpec& spec) const {
  if (model_->prompt_encoder == nullptr) return {};
  const PromptEncoder& encoder = *model_->prompt_encoder;
  std::vector<std::string> warnings = encoder.Warnings(spec.prompt, spec.max_sequence_length);
  if (!spec.guided()) return warnings;
  for (const auto& warning : encoder.Warnings(spec.negative_prompt, spec.max_sequence_length)) {
    warnings.push_back("negative prompt: " + warning);
  }
  return warnings;
}

void FamilyPipeline::ListenToUnits() {
  const auto listen = [this](std::string_view name, int64_t kind) {
    ++work_counter_;
    if (journal_ != nullptr) journal_->BeginUnit({.name = name, .kind = kind});
  };
  model_->denoiser->TellUnits(listen);
  model_->codec->TellUnits(listen);
  if (model_->prompt_encoder != nullptr) model_->prompt_encoder->TellUnits(listen);
}

void FamilyPipeline::Enter(const StagedJob& job, std::string place, bool device_exchanges) {
  place_ = std::move(place);
  hosts_only_ = !device_exchanges || !stream_.device().is_cuda() || job.world.size() == 1;
}

void FamilyPipeline::MakeLinks(const StagedJob& job) {
  Enter(job, "links between ranks", /*device_exchanges=*/true);
  const bool known = links_ != nullptr && &links_->world() == &job.world;
  if (!known) links_ = std::make_unique<GroupLinks>(job.world);
  links_->ForMesh(job.geometry.mesh());
  if (!hosts_only_) MeetOnHosts(job.world);
}

Inputs FamilyPipeline::Encode(const StagedJob& job) {
  Enter(job, "text encoder", /*device_exchanges=*/false);
  job.agreement.AgreeToRun(BlockKind::kText);
  if (job.first()) job.sink.OnProgress(Stage::kTextEncode, 0, 1);
  Failpoint("rank.text");
  Inputs inputs = {.text = ShareText({.spec = job.spec,
                                      .geometry = job.geometry,
                                      .encoder = model_->prompt_encoder.get(),
                                      .text_width = model_->denoiser->text_width(),
                                      .dtype = dtype_,
                                      .device = device()},
                                     job.world),
                   .image_rows = {},
                   .noise = NoiseStream(job.spec.seed, dtype_, device())};
  ++work_counter_;
  job.memory.EndStage(&JobFootprint::text);
  if (job.first()) job.sink.OnProgress(Stage::kTextEncode, 1, 1);
  if (job.spec.has_image) {
    Enter(job, "picture", /*device_exchanges=*/false);
    inputs.image_rows = ShareImage({.spec = job.spec,
                                    .geometry = job.geometry,
                                    .layout = job.layout,
                                    .codec = *model_->codec,
                                    .dtype = dtype_,
                                    .device = device()},
                                   inputs.noise, job.world);
    job.memory.EndStage(&JobFootprint::picture);
  }
  WaitFor(device());
  // Each rank looks at its own rows; together they have all.
  const std::pair<const char*, at::Tensor> made[] = {{"text embedding", inputs.text},
                                                     {"encoded picture", inputs.image_rows}};
  for (const auto& [place, values] : made) {
    if (values.defined() && !AllFinite(values).item<bool>()) job.agreement.FoundNotFinite(place);
  }
  return inputs;
}

at::Tensor FamilyPipeline::MakeLatents(const StagedJob& job, Inputs inputs) {
  Enter(job, "preparation of the steps", /*device_exchanges=*/true);
  const Denoiser& denoiser = *model_->denoiser;
  const auto prepared = denoiser.Prepare(job.geometry, links_->ForMesh(job.geometry.mesh()));
  const at::Tensor rows =
      Denoise({.spec = job.spec,
               .geometry = job.geometry,
               .layout = job.layout,
               .denoiser = *prepared,
               .scheduler = model_->scheduler,
               .preview = model_->preview,
               .dtype = dtype_,
               .world = job.world,
               .agreement = job.agreement,
               .sink = job.sink,
               .work_counter = work_counter_,
               .place = place_,
               .step_operations = denoiser.StepOperations(job.geometry, job.spec.guided()),
               .operations = *options_.operations},
              inputs.text, inputs.image_rows, inputs.noise);
  const at::Tensor latents = GatherLatents(job.geometry, job.layout, rows, job.world);
  WaitFor(device());
  const int64_t padding = job.layout.leading_padding;
  return latents.narrow(1, padding, job.layout.frames - padding);
}

void FamilyPipeline::Emit(const StagedJob& job, const at::Tensor& latents) {
  if (job.spec.output == OutputKind::kLatent) {
    job.agreement.Conclude();
    if (job.first()) HandLatents(latents, job.sink);
    return;
  }
  Enter(job, "decode", /*device_exchanges=*/options_.wavefront_on_gpus);
  DecodeFrames({.codec = *model_->codec,
                .carries = links_->carries(),
                .frames = links_->frames(),
                .agreement = job.agreement,
                .sink = job.sink,
                .work_counter = work_counter_,
                .tiling = job.spec.vae_tiling,
                .wavefront_on_gpus = options_.wavefront_on_gpus},
               latents);
  job.agreement.Conclude();
}

PipelineSeconds FamilyPipeline::Run(const JobSpec& spec, Communicator& world,
                                    ProgramJournal& journal, FrameSink& sink,
                                    const StepCommandSource& command) {
  const c10::InferenceMode inference;
  const DeviceScope scope(stream_);
  if (world.size() != options_.mesh.size() || world.rank() != options_.world_rank) {
    throw std::logic_error("the world is not the one the model was loaded for");
  }
  journal_ = &journal;
  const LatentLayout layout = LayOut(spec);
  const Geometry geometry = GeometryOf(spec, layout);
  MemoryPlan::Run memory(memory_, ShapeOf(spec));
  StepAgreement agreement(world, journal, spec, PlanHash(spec, geometry.mesh()), command);
  const StagedJob job = {.spec = spec,
                         .layout = layout,
                         .geometry = geometry,
                         .world = world,
                         .agreement = agreement,
                         .sink = sink,
                         .memory = memory};
  PipelineSeconds seconds;
  Stopwatch watch;
  MakeLinks(job);
  Inputs inputs = Encode(job);
  seconds.text_encode = watch.Lap();
  const at::Tensor latents = MakeLatents(job, std::move(inputs));
  memory.EndStage(&JobFootprint::denoise);
  seconds.denoise = watch.Lap();
  Emit(job, latents);
  memory.EndStage(&JobFootprint::decode);
  seconds.decode = watch.Lap();
  return seconds;
}

}  // namespace

std::unique_ptr<Pipeline> Pipeline::Create(const Family& family, const PipelineOptions& options) {
  const c10::InferenceMode inference;
  CountCpuMemory();
  SetCpuThreads(options.cpu_threads);
  Failpoint("rank.load");
  const LoadOptions load = {.model_dir = options.model_dir,
                            .variant = options.variant,
                            .world_rank = options.world_rank,
                            .device = options.device,
                            .device_idx = options.device_idx,
                            .dtype = options.dtype,
                            .random_weights = options.random_weights,
                            .read_bytes = options.read_bytes};
  const c10::Stream stream = OpenStream(DeviceOf(load));
  const DeviceScope scope(stream);
  auto pipeline = std::make_unique<FamilyPipeline>(options, stream, family.Load(load));
  Failpoint("rank.warm_up");
  return pipeline;
}

}  // namespace cogwheel
