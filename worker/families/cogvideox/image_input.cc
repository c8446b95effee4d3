#include "worker/families/cogvideox/image_input.h"

#include <cstring>

#include <ATen/ATen.h>

namespace cogwheel {

at::Tensor PrepareImage(std::span<const uint8_t> rgb, int height, int width, int out_height,
                        int out_width) {
  TORCH_CHECK(rgb.size() == static_cast<size_t>(height) * width * 3, "a picture of ", height, "x",
              width, " has ", rgb.size(), " bytes");
  const RgbImage image = ResizeLanczos(rgb, height, width, out_height, out_width);
  const at::Tensor bytes = at::empty({out_height, out_width, 3}, at::TensorOptions(at::kByte));
  std::memcpy(bytes.data_ptr(), image.rgb.data(), image.rgb.size());
  const at::Tensor unit = bytes.to(at::kFloat) / 255.0;  // [H, W, 3]
  return (2.0 * unit - 1.0).permute({2, 0, 1}).unsqueeze(0).unsqueeze(2).contiguous();
}

}  // namespace cogwheel
