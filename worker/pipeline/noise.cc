#include "worker/pipeline/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

#include "worker/families/cogvideox/transformer.h"

namespace cogwheel {

NoiseStream::NoiseStream(uint64_t seed, at::ScalarType dtype, at::Device device)
    : generator_(at::detail::createCPUGenerator(seed)), dtype_(dtype), device_(device) {}

at::Tensor NoiseStream::Draw(at::IntArrayRef shape) { return ToDevice(DrawOnCpu(shape)); }

at::Tensor NoiseStream::DrawOnCpu(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::TensorOptions(dtype_));
}

at::Tensor NoiseStream::DrawLatents(const LatentShape& shape) {
  return DrawOnCpu({1, shape.frames, shape.channels, shape.height, shape.width});
}

// From pinned memory, so that the host goes on while the GPU is still at what comes before.
at::Tensor NoiseStream::ToDevice(const at::Tensor& drawn) const {
  return device_.is_cuda() ? drawn.pin_memory().to(device_, /*non_blocking=*/true) : drawn;
}

void NoiseStream::Skip(const LatentShape& shape) { DrawLatents(shape); }

at::Tensor NoiseStream::DrawRows(const LatentShape& shape, Range rows) {
  return ToDevice(Patchify(DrawLatents(shape), shape.patch_size_t, shape.patch_size)
                      .narrow(1, rows.begin, rows.size())
                      .clone());
}

}  // namespace cogwheel
