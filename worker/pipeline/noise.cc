#include "worker/pipeline/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "worker/model/transformer.h"

namespace cogwheel {

NoiseStream::NoiseStream(uint64_t seed, at::ScalarType dtype, at::Device device)
    : generator_(at::detail::createCPUGenerator(seed)), dtype_(dtype), device_(device) {}

at::Tensor NoiseStream::Draw(at::IntArrayRef shape) { return DrawOnCpu(shape).to(device_); }

at::Tensor NoiseStream::DrawOnCpu(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::TensorOptions(dtype_));
}

at::Tensor NoiseStream::DrawRows(const LatentShape& shape, Range rows) {
  const at::Tensor latents =
      DrawOnCpu({1, shape.frames, shape.channels, shape.height, shape.width});
  return Patchify(latents, shape.patch_size_t, shape.patch_size)
      .narrow(1, rows.begin, rows.size())
      .clone()
      .to(device_);
}

}  // namespace cogwheel
