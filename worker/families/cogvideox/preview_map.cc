#include "worker/families/cogvideox/preview_map.h"

#include <vector>

#include <ATen/ATen.h>

namespace cogwheel {
namespace {

constexpr int64_t kColours = 3;

}  // namespace

PreviewMap MakePreviewMap(const std::optional<CogwheelJson::Preview>& preview, int64_t channels) {
  const at::TensorOptions options(at::kFloat);
  if (!preview.has_value()) {
    return {.matrix = 0.2 * at::eye(kColours, channels, options),
            .bias = at::full({kColours}, 0.5, options),
            .pixels_per_latent = kPixelsPerLatent};
  }
  PreviewMap map{.matrix = at::empty({kColours, channels}, options),
                 .bias = at::empty({kColours}, options),
                 .pixels_per_latent = kPixelsPerLatent};
  TORCH_CHECK(preview->matrix.size() == kColours && preview->bias.size() == kColours,
              "the preview map has not three rows");
  for (int64_t colour = 0; colour < kColours; ++colour) {
    const std::vector<double>& row = preview->matrix[colour];
    TORCH_CHECK(row.size() == channels, "the preview matrix has not ", channels, " columns");
    map.bias[colour] = preview->bias[colour];
    for (int64_t channel = 0; channel < channels; ++channel) {
      map.matrix[colour][channel] = row[channel];
    }
  }
  return map;
}

}  // namespace cogwheel
