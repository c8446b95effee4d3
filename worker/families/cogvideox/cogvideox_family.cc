#include "worker/families/cogvideox/cogvideox_family.h"

#include "base/stopwatch.h"
#include "worker/device/device.h"
#include "worker/families/cogvideox/components.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/describe_model.h"
#include "worker/families/cogvideox/model_footprints.h"
#include "worker/families/cogvideox/preview_map.h"
#include "worker/families/cogvideox/prompt_encoder.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/families/model.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

// Calls load(weights) for a component's folder and notes what it took.
template <typename Load>
void LoadComponent(const std::string& component, const LoadOptions& options,
                   const std::string& variant, const Load& load,
                   std::vector<ComponentLoad>& loads) {
  Stopwatch watch;
  const int64_t before = *options.read_bytes;
  uint32_t crc32c = 0;
  if (options.random_weights) {
    load(RandomWeights(options.read_bytes));
  } else {
    const WeightFiles files(ComponentOf(options.model_dir, component, variant), options.read_bytes);
    load(files);
    // World rank 0 alone encodes: with the text encoder, and for pictures the VAE's encoder.
    if (component != "text_encoder") crc32c = files.Crc32cLess("encoder.");
  }
  WaitFor(DeviceOf(options));
  loads.push_back({component, *options.read_bytes - before, watch.Lap(), crc32c});
}

class CogVideoX final : public Family {
 public:
  ModelDescription Describe(const ModelSource& source) const override {
    return DescribeCogVideoX(source);
  }
  std::unique_ptr<Model> Load(const LoadOptions& options) const override;
  std::unique_ptr<Footprints> CountFootprints(const LoadOptions& options) const override {
    return CogVideoXFootprints(ReadCheckpointConfigs(options.model_dir), DeviceOf(options),
                               ScalarTypeOf(options.dtype));
  }
};

std::unique_ptr<Model> CogVideoX::Load(const LoadOptions& options) const {
  const CheckpointConfigs configs = ReadCheckpointConfigs(options.model_dir);
  const at::Device device = DeviceOf(options);
  const at::ScalarType dtype = ScalarTypeOf(options.dtype);
  const bool first = options.world_rank == 0;
  auto model = std::make_unique<Model>();
  model->scheduler = configs.scheduler;
  model->preview = MakePreviewMap(configs.cogwheel.preview, configs.vae.latent_channels);
  model->footprints = CogVideoXFootprints(configs, device, dtype);
  model->takes_picture = configs.model_index.image_to_video();
  const std::string variant = options.variant.empty() ? configs.cogwheel.variant : options.variant;
  const auto load = [&](const std::string& component, const auto& with) {
    LoadComponent(component, options, variant, with, model->loads);
  };
  load("transformer", [&](const WeightSource& weights) {
    model->denoiser = Transformer::Load(configs.transformer, weights, device, dtype);
  });
  load("vae", [&](const WeightSource& weights) {
    model->codec = Vae::Load(configs.vae, weights, device, dtype,
                             /*with_encoder=*/first && model->takes_picture);
  });
  if (!first) return model;
  load("text_encoder", [&](const WeightSource& weights) {
    model->prompt_encoder =
        std::make_unique<T5PromptEncoder>(options.model_dir, configs, weights, device, dtype);
  });
  return model;
}

}  // namespace

std::unique_ptr<Family> CogVideoXFamily() { return std::make_unique<CogVideoX>(); }

}  // namespace cogwheel
