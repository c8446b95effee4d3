#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/pipeline/conditioning.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
at::Tensor ShareImage(const ImageRequest& request, NoiseStream& noise, Communicator& world) {
  const JobSpec& spec = request.spec;
  const LatentLayout& layout = request.layout;
  at::Tensor posterior = at::empty({1, 2 * layout.channels, 1, layout.height, layout.width},
                                   at::TensorOptions(request.dtype));
  if (world.rank() == 0) {
    posterior = request.codec
                    .EncodePicture({spec.image_rgb, spec.image_height, spec.image_width},
                                   {.height = spec.height, .width = spec.width}, spec.vae_tiling)
                    .to(at::kCPU);
  }
  Broadcast(world, /*root=*/0, TensorBytes(posterior), StreamOf(posterior));
  const at::Tensor drawn = noise.Draw({1, layout.channels, 1, layout.height, layout.width});
  const at::Tensor first = request.codec.SampleLatent(posterior.to(request.device), drawn);
  const at::Tensor rest = at::zeros(
      {1, layout.frames - 1, layout.channels, layout.height, layout.width}, first.options());
  const Range rows = request.geometry.video_rows();
  return Patchify(at::cat({first, rest}, 1), layout).narrow(1, rows.begin, rows.size()).clone();
}

}  // namespace cogwheel
