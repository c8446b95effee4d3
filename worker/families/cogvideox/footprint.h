#pragma once

#include <cstdint>

#include "worker/families/cogvideox/config.h"
#include "worker/sequence/geometry.h"

// What the transformer and the text encoder of CogVideoX hold at most, in bytes. element_bytes: of
// the model's dtype. Pure.
namespace cogwheel {

// Of one prediction's activations alone, for so many branches.
int64_t ActivationBytes(const TransformerConfig& config, const Geometry& geometry, int64_t batch,
                        int64_t element_bytes);

// Of the denoising: activations, the loop's own tensors, the noise, which every rank draws whole,
// and the latents put together at the end.
int64_t DenoiseBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                     int64_t element_bytes);

// Of the embeddings while they are shared: those of all branches, and this rank's copy of its own
// rows.
int64_t SharedTextBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                        int64_t element_bytes);

// Of the encoder at work on one prompt of so many tokens.
int64_t EncodeTextBytes(const TextEncoderConfig& config, int64_t tokens, int64_t element_bytes);

// Of the messages of one layer's exchanges, sent and not yet taken or received and not yet asked
// for.
int64_t LayerMessageBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                          int64_t element_bytes);

}  // namespace cogwheel
