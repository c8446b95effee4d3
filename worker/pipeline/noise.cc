#include "worker/pipeline/noise.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>

namespace cogwheel {

NoiseStream::NoiseStream(uint64_t seed, at::ScalarType dtype, at::Device device)
    : generator_(at::detail::createCPUGenerator(seed)), dtype_(dtype), device_(device) {}

at::Tensor NoiseStream::Draw(at::IntArrayRef shape) { return ToDevice(DrawOnCpu(shape)); }

at::Tensor NoiseStream::DrawOnCpu(at::IntArrayRef shape) {
  return at::randn(shape, generator_, at::TensorOptions(dtype_));
}

at::Tensor NoiseStream::DrawLatents(const LatentLayout& layout) {
  return DrawOnCpu({1, layout.frames, layout.channels, layout.height, layout.width});
}

// From pinned memory, so that the host goes on while the GPU is still at what comes before.
at::Tensor NoiseStream::ToDevice(const at::Tensor& drawn) const {
  return device_.is_cuda() ? drawn.pin_memory().to(device_, /*non_blocking=*/true) : drawn;
}

void NoiseStream::Skip(const LatentLayout& layout) { DrawLatents(layout); }

at::Tensor NoiseStream::DrawRows(const LatentLayout& layout, Range rows) {
  return ToDevice(Patchify(DrawLatents(layout), layout).narrow(1, rows.begin, rows.size()).clone());
}

}  // namespace cogwheel
