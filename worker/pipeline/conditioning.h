#pragma once

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/families/model.h"
#include "worker/pipeline/job_spec.h"
#include "worker/pipeline/noise.h"
#include "worker/sequence/geometry.h"

namespace cogwheel {

// Both share by way of host memory: a few megabytes once a job, and a rank that has no memory for
// its part leaves no device in an exchange (Communicator::Abandon).
//
// Encodes on world rank 0 (the only one with an encoder) and hands every rank its rows.
//   → [B, T_local, text_width], B the branches of this rank ([negative; positive], or one of
//   them on a guidance half; the positive alone for an unguided job).
struct TextRequest {
  const JobSpec& spec;
  const Geometry& geometry;
  const PromptEncoder* encoder = nullptr;  // null on other ranks
  int64_t text_width = 0;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};
at::Tensor ShareText(const TextRequest& request, Communicator& world);

// The picture's half of the model input (reference: pipeline_cogvideox_image2video.py,
// prepare_latents): the first latent frame is the encoded image, all others are zero. Rank 0
// encodes and shares the posterior; every rank draws its noise, the first of the job's stream.
//   → [1, V_local, C·pt·p·p].
struct ImageRequest {
  const JobSpec& spec;
  const Geometry& geometry;
  const LatentLayout& layout;
  const Codec& codec;
  at::ScalarType dtype = at::kFloat;
  at::Device device = at::kCPU;
};
at::Tensor ShareImage(const ImageRequest& request, NoiseStream& noise, Communicator& world);

}  // namespace cogwheel
