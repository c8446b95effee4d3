#pragma once

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/families/model.h"
#include "worker/pipeline/frame_sink.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

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
