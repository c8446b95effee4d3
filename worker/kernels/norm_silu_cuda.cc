#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/kernels/norm_silu.h"
#include "worker/kernels/norm_silu_kernels.h"
#include "worker/kernels/row_type.h"

namespace cogwheel {
namespace {

constexpr auto kChannelsLast = at::MemoryFormat::ChannelsLast3d;
constexpr int64_t kMaxGridRows = 65535;  // of a launch

bool Fits(const at::Tensor& x) {
  return x.size(1) * x.element_size() % 16 == 0 && x.size(1) <= kMaxNormChannels &&
         x.size(2) * x.size(3) <= kMaxGridRows;
}

}  // namespace

at::Tensor NormSiluPaddedCuda(const at::Tensor& x, const GroupNormWeights& norm,
                              const LatentModulation& modulation, int64_t pad) {
  if (!Fits(x)) return NormSiluPaddedAten(x, norm, modulation, pad);
  const int64_t C = x.size(1), T = x.size(2), H = x.size(3), W = x.size(4);
  const at::Tensor dense = x.contiguous(kChannelsLast);
  at::Tensor out =
      at::empty({x.size(0), C, pad + T, H, W}, x.options().memory_format(kChannelsLast));
  const at::Tensor scratch = at::empty({kNormScratchFloats(C)}, x.options().dtype(at::kFloat));
  NormSiluWork work{.type = RowTypeOf(x.scalar_type()),
                    .frames = T,
                    .height = H,
                    .width = W,
                    .channels = C,
                    .groups = norm.groups,
                    .weight = norm.weight.const_data_ptr(),
                    .bias = norm.bias.const_data_ptr(),
                    .epsilon = norm.epsilon,
                    .scratch = scratch.data_ptr<float>(),
                    .stream = StreamOf(x)};
  at::Tensor scale, shift;
  if (modulation.scale.defined()) {
    scale = modulation.scale.contiguous(kChannelsLast);
    shift = modulation.shift.contiguous(kChannelsLast);
    work.latent_frames = scale.size(2);
    work.latent_height = scale.size(3);
    work.latent_width = scale.size(4);
  }
  for (int64_t b = 0; b < x.size(0); ++b) {  // one clip at a time; the VAE's batch is one
    work.x = dense[b].const_data_ptr();
    work.out = out[b].narrow(1, pad, T).data_ptr();
    work.scale = scale.defined() ? scale[b].const_data_ptr() : nullptr;
    work.shift = scale.defined() ? shift[b].const_data_ptr() : nullptr;
    TORCH_CHECK(LaunchNormSilu(work), "a norm of ", x.sizes(), " could not be started");
  }
  return out;
}

}  // namespace cogwheel
