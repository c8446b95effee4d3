#pragma once

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/families/latent_layout.h"
#include "worker/pipeline/frame_sink.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Whole latents [1, F, C, h, w] on every rank from rows [1, V_local, C·pt·p·p] of each. The only
// gather of a job's latents; ranks of the second guidance half send nothing.
at::Tensor GatherLatents(const Geometry& geometry, const LatentLayout& layout,
                         const at::Tensor& rows, Communicator& world);

// As the result of a job. latents: [1, F, C, h, w].
void HandLatents(const at::Tensor& latents, FrameSink& sink);

}  // namespace cogwheel
