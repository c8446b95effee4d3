#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/families/cogvideox/image_input.h"
#include "worker/pipeline/conditioning.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

// A sample of the posterior, scaled as the checkpoint was trained: [1, 1, C, h, w].
at::Tensor SampleLatent(const VaeConfig& config, const at::Tensor& posterior,
                        const at::Tensor& noise) {
  const std::vector<at::Tensor> parts = at::chunk(posterior, 2, 1);
  const at::Tensor std = at::exp(0.5 * at::clamp(parts[1], -30.0, 20.0));
  const at::Tensor latent = (parts[0] + std * noise).permute({0, 2, 1, 3, 4});
  return config.invert_scale_latents ? (1 / config.scaling_factor) * latent
                                     : config.scaling_factor * latent;
}

}  // namespace

at::Tensor ShareImage(const ImageRequest& request, NoiseStream& noise, Communicator& world) {
  const JobSpec& spec = request.spec;
  const LatentLayout& layout = request.layout;
  at::Tensor posterior = at::empty({1, 2 * layout.channels, 1, layout.height, layout.width},
                                   at::TensorOptions(request.dtype).device(request.device));
  if (world.rank() == 0) {
    const at::Tensor pixels =
        PrepareImage(spec.image_rgb, spec.image_height, spec.image_width, spec.height, spec.width)
            .to(request.device, request.dtype);
    posterior = request.vae.Encode(pixels, spec.vae_tiling).contiguous();
  }
  Broadcast(world, /*root=*/0, TensorBytes(posterior), StreamOf(posterior));
  const at::Tensor drawn = noise.Draw({1, layout.channels, 1, layout.height, layout.width});
  const at::Tensor first = SampleLatent(request.vae.config(), posterior, drawn);
  const at::Tensor rest = at::zeros(
      {1, layout.frames - 1, layout.channels, layout.height, layout.width}, first.options());
  const Range rows = request.geometry.video_rows();
  return Patchify(at::cat({first, rest}, 1), layout).narrow(1, rows.begin, rows.size()).clone();
}

}  // namespace cogwheel
