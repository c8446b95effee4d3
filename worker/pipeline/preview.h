#pragma once

#include <cstdint>
#include <optional>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/families/cogvideox/config.h"
#include "worker/families/latent_layout.h"
#include "worker/pipeline/frame_sink.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// A linear map from one latent pixel, as the transformer sees it (not divided by the VAE's scaling
// factor), to red, green and blue in 0..1.
struct PreviewMap {
  at::Tensor matrix;  // [3, C] fp32
  at::Tensor bias;    // [3] fp32
};

// The map of cogwheel.json's "preview", or a neutral one where it has none: the first three latent
// channels stand for red, green and blue (0.5 + 0.2 z), so shapes and motion show, but no true
// colours.
PreviewMap MakePreviewMap(const std::optional<CogwheelJson::Preview>& preview, int64_t channels);

// One preview from all ranks: each projects its own rows of the clip's middle latent frame and only
// those three channels travel to world rank 0, which hands the frame to `sink`, scaled up to pixels
// by nearest. clean: [1, V_local, C·pt·p·p] fp32, this rank's predicted clean rows.
struct PreviewRound {
  const PreviewMap& map;
  const Geometry& geometry;
  const LatentLayout& layout;
  int step = 0;  // done
  int steps = 0;
};
void SendPreview(const PreviewRound& round, const at::Tensor& clean, Communicator& world,
                 FrameSink& sink);

}  // namespace cogwheel
