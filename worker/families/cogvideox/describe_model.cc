#include "worker/families/cogvideox/describe_model.h"

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

#include "base/model_path.h"
#include "base/utf8.h"
#include "worker/families/cogvideox/checkpoint_digest.h"
#include "worker/families/cogvideox/components.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/prompt_encoder.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/tensor_folder.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

constexpr int kSideMultiple = 16;  // patch 2 x 8 pixels a latent
constexpr int kDefaultSteps = 50;
constexpr double kDefaultGuidanceScale = 6;
constexpr int kMaxSteps = 200;
constexpr size_t kMaxNameBytes = 128;

// Of a checkpoint that brings none: its folder's, cut to what a name may have.
std::string FolderName(const std::string& model_dir) {
  const std::string name = ModelFolderName(model_dir);
  if (!name.empty() && FirstBadUtf8Byte(name) == std::string::npos && !HasControlCharacter(name)) {
    return std::string(ClipUtf8(name, kMaxNameBytes));
  }
  throw std::invalid_argument(
      "the model's name, its folder's, is \"" + PrintableName(name) +
      "\"; legal is UTF-8 without control characters: rename the folder or set model_name");
}

int RoundDown(int64_t value, int multiple) { return static_cast<int>(value / multiple * multiple); }

// Every tensor that a rank will load is there with its shape, and the tokenizer works. On the meta
// device nothing is copied, so this reads headers only.
void CheckComponents(const ModelSource& source, const CheckpointConfigs& configs) {
  const at::Device nowhere(at::kMeta);
  const auto weights = [&](const char* part) -> std::unique_ptr<WeightSource> {
    if (source.random_weights) return std::make_unique<RandomWeights>();
    return std::make_unique<WeightFiles>(ComponentOf(source.model_dir, part, source.variant));
  };
  Transformer::Load(configs.transformer, *weights("transformer"), nowhere, at::kFloat);
  Vae::Load(configs.vae, *weights("vae"), nowhere, at::kFloat,
            /*with_encoder=*/configs.model_index.image_to_video());
  T5PromptEncoder(source.model_dir, configs, *weights("text_encoder"), nowhere, at::kFloat);
}

Dtype StoredDtype(const ModelSource& source) {
  const TensorFolder folder(ComponentOf(source.model_dir, "transformer", source.variant));
  switch (folder.At("patch_embed.proj.weight").entry->dtype) {
    case TensorDtype::kBf16:  // whose range fp16 has not
      return Dtype::kBf16;
    case TensorDtype::kF16:
    case TensorDtype::kF8E4m3:  // fp16 and bf16 both hold all of the 8-bit ones
    case TensorDtype::kF8E5m2:
      return Dtype::kFp16;
    default:
      return Dtype::kFp32;
  }
}

// Section "Legal frames" of the contract.
void SetLimits(const TransformerConfig& config, const CogwheelJson& own, ModelDescription& model) {
  const int64_t sample_frames = config.sample_frames;
  model.frames_multiple = config.version_1_5() ? 16 : 8;
  const int64_t most_frames = config.version_1_5() ? 2 * sample_frames - 1 : sample_frames;
  model.max_frames = RoundDown(most_frames - 1, model.frames_multiple) + 1;
  const int64_t height = kPixelsPerLatent * config.sample_height;
  const int64_t width = kPixelsPerLatent * config.sample_width;
  model.max_area = height * width;
  // Without a rotary ruler's end only the area bounds a side.
  const int64_t longest = model.max_area / kSideMultiple;
  model.fixed_shape = config.use_learned_positional_embeddings;
  const bool bounded = config.version_1_5() || model.fixed_shape;
  model.max_height = RoundDown(bounded ? height : longest, kSideMultiple);
  model.max_width = RoundDown(bounded ? width : longest, kSideMultiple);
  model.max_steps = kMaxSteps;
  model.max_text_tokens = static_cast<int>(config.max_text_seq_length);
  const auto narrow = [](int& limit, const std::optional<int64_t>& to) {
    if (to.has_value()) limit = static_cast<int>(std::min<int64_t>(limit, *to));
  };
  narrow(model.max_frames, own.max_frames);
  narrow(model.max_steps, own.max_steps);
  narrow(model.max_height, own.max_height);
  narrow(model.max_width, own.max_width);
}

// Section "Models" of the contract.
void SetDefaults(const CheckpointConfigs& configs, ModelDescription& model) {
  const TransformerConfig& config = configs.transformer;
  const CogwheelJson& own = configs.cogwheel;
  const bool nominal_sample = (config.sample_height == 300 && config.sample_width == 300) ||
                              (config.sample_height == 96 && config.sample_width == 170);
  const bool published_1_5 = config.version_1_5() && nominal_sample;
  model.default_frames =
      published_1_5 ? 81 : RoundDown(config.sample_frames - 1, model.frames_multiple) + 1;
  model.default_height =
      published_1_5 ? 768 : RoundDown(kPixelsPerLatent * config.sample_height, kSideMultiple);
  model.default_width =
      published_1_5 ? 1360 : RoundDown(kPixelsPerLatent * config.sample_width, kSideMultiple);
  model.default_fps = config.version_1_5() ? 16 : 8;
  model.default_steps = kDefaultSteps;
  model.default_guidance_scale = own.guidance_scale.value_or(kDefaultGuidanceScale);
  const std::string scheduler = own.scheduler.value_or(
      configs.model_index.scheduler == "CogVideoXDPMScheduler" ? "dpm" : "ddim");
  model.default_scheduler = scheduler == "dpm" ? SchedulerKind::kDpm : SchedulerKind::kDdim;
  const auto replace = [](int& value, const std::optional<int64_t>& with) {
    if (with.has_value()) value = static_cast<int>(*with);
  };
  replace(model.default_steps, own.steps);
  replace(model.default_fps, own.fps);
  // A job that leaves a field out must not be refused for it.
  model.default_steps = std::min(model.default_steps, model.max_steps);
  if (model.fixed_shape) return;
  replace(model.default_frames, own.frames);
  replace(model.default_height, own.height);
  replace(model.default_width, own.width);
  model.default_frames =
      RoundDown(std::min(model.default_frames, model.max_frames) - 1, model.frames_multiple) + 1;
  model.default_height = RoundDown(std::min(model.default_height, model.max_height), kSideMultiple);
  model.default_width = RoundDown(std::min(model.default_width, model.max_width), kSideMultiple);
}

}  // namespace

ModelDescription DescribeCogVideoX(const ModelSource& asked) {
  const CheckpointConfigs configs = ReadCheckpointConfigs(asked.model_dir);
  ModelSource source = asked;
  if (source.variant.empty()) source.variant = configs.cogwheel.variant;
  ModelDescription model;
  model.name = !source.model_name.empty()          ? source.model_name
               : configs.cogwheel.name.has_value() ? *configs.cogwheel.name
                                                   : FolderName(source.model_dir);
  model.description = configs.cogwheel.description;
  model.sample_prompts = configs.cogwheel.sample_prompts;
  model.vocabulary = configs.cogwheel.vocabulary;
  model.image_required = configs.model_index.image_to_video();
  model.rotary = configs.transformer.use_rotary_positional_embeddings;
  SetLimits(configs.transformer, configs.cogwheel, model);
  SetDefaults(configs, model);
  if (!source.random_weights) CheckVariant(source.model_dir, source.variant);
  CheckComponents(source, configs);
  if (!source.random_weights) model.stored_dtype = StoredDtype(source);
  model.digest = CheckpointDigest(source.model_dir, source.variant, source.random_weights);
  return model;
}

}  // namespace cogwheel
