#pragma once

#include <ATen/core/Tensor.h>

#include "worker/families/model.h"

// What a decode on many ranks must equal.
namespace cogwheel {

// A whole clip, chunk by chunk, with one carry. latents: [B, C, F, h, w], as Codec::Unscale leaves
// them.
at::Tensor DecodeSerially(const Codec& codec, const at::Tensor& latents);

// The reference's tiled decode (its overlap and blending), each tile with its own carry.
at::Tensor DecodeTilesSerially(const Codec& codec, const at::Tensor& latents);

}  // namespace cogwheel
