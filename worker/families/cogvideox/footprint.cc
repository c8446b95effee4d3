#include "worker/families/cogvideox/footprint.h"

#include <algorithm>

#include "worker/sequence/footprint.h"

namespace cogwheel {
namespace {

constexpr int64_t kFp32Bytes = sizeof(float);

// The residual, and: q, k, v, one of them normed and its rotation in fp32; or what attention holds;
// or normed rows (later the update) and the hidden rows of 4 E.
int64_t BlockBytes(const TransformerConfig& config, const Geometry& geometry, int64_t batch,
                   int64_t element_bytes) {
  const int64_t E = config.width();
  const int64_t rows = batch * geometry.rows().size() * E * element_bytes;  // one [B, S_local, E]
  const int64_t rotated_fp32 = batch * geometry.video_rows().size() * E * kFp32Bytes;
  const int64_t attention = AttentionBytes(geometry, {.batch = batch,
                                                      .heads = config.num_attention_heads,
                                                      .head_dim = config.attention_head_dim,
                                                      .element_bytes = element_bytes});
  const int64_t widening = element_bytes < kFp32Bytes ? 3 : 2;
  return rows + std::max({4 * rows + widening * rotated_fp32, attention, 5 * rows});
}

// Rotations and the additive position table of this rank's rows.
int64_t TableBytes(const TransformerConfig& config, const Geometry& geometry,
                   int64_t element_bytes) {
  const bool rotary = config.use_rotary_positional_embeddings;
  const bool additive = !rotary || config.use_learned_positional_embeddings;
  const int64_t cos_and_sin =
      2 * geometry.video_rows().size() * config.attention_head_dim * kFp32Bytes;
  return (rotary ? cos_and_sin : 0) +
         (additive ? geometry.rows().size() * config.width() * element_bytes : 0);
}

// While a job's tables are made: positions and angles, each with what it is made of. Fixed
// positions are made in fp64.
int64_t TableWorkBytes(const TransformerConfig& config, const Geometry& geometry) {
  constexpr int64_t kPositions = 6 * sizeof(int64_t);
  const int64_t width = config.use_rotary_positional_embeddings
                            ? 4 * config.attention_head_dim * kFp32Bytes
                            : 4 * config.width() * int64_t{sizeof(double)};
  return geometry.rows().size() * (width + kPositions);
}

// Of one video row's patch with this many channels.
int64_t PatchFeatures(const TransformerConfig& config, int64_t channels) {
  return config.patch_frames() * config.patch_size * config.patch_size * channels;
}

}  // namespace

int64_t ActivationBytes(const TransformerConfig& config, const Geometry& geometry, int64_t batch,
                        int64_t element_bytes) {
  const int64_t patches = batch * geometry.video_rows().size() *
                          PatchFeatures(config, config.in_channels + config.out_channels) *
                          element_bytes;
  const int64_t modulation = batch * 12 * config.width() * element_bytes;
  return BlockBytes(config, geometry, batch, element_bytes) + patches + modulation +
         TableBytes(config, geometry, element_bytes);
}

int64_t DenoiseBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                     int64_t element_bytes) {
  const int64_t branches = geometry.branch_count(guided);
  const int64_t row = PatchFeatures(config, config.out_channels);
  // The sample, the image's half and the step's result; the prediction, two clean predictions and
  // the sum in fp32.
  const int64_t loop = geometry.video_rows().size() * row * (3 * element_bytes + 4 * kFp32Bytes);
  const int64_t own_text =
      branches * geometry.text_rows().size() * config.text_embed_dim * element_bytes;
  // Between predictions: noise is drawn whole and cut into patches; at last the latents are put
  // together from theirs.
  const int64_t whole = 2 * geometry.video_count() * row * element_bytes;
  const int64_t activations = ActivationBytes(config, geometry, branches, element_bytes);
  return std::max(std::max(activations, whole) + loop, TableWorkBytes(config, geometry)) + own_text;
}

int64_t SharedTextBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                        int64_t element_bytes) {
  const int64_t row = config.text_embed_dim * element_bytes;
  const int64_t all = (guided ? 2 : 1) * geometry.text_count() * row;
  return 2 * all + geometry.branch_count(guided) * geometry.text_rows().size() * row;
}

int64_t EncodeTextBytes(const TextEncoderConfig& config, int64_t tokens, int64_t element_bytes) {
  const int64_t square = config.num_heads * tokens * tokens;  // scores of one layer
  const int64_t inner = config.num_heads * config.d_kv * tokens;
  const int64_t rows = config.d_model * tokens;
  const int64_t hidden = config.d_ff * tokens;
  // The position's share in every score; buckets and their copy as they are looked up.
  const int64_t bias = square * element_bytes + 2 * tokens * tokens * int64_t{sizeof(int64_t)};
  // q, k, v and the keys as the product takes them; scores before and behind the bias, in fp32,
  // behind the softmax, and rounded; what they mix.
  const int64_t attention =
      6 * inner * element_bytes + square * (3 * element_bytes + 2 * kFp32Bytes);
  // The gate, the chain of its activation, the other factor and their product, widened for wo.
  const int64_t forward = hidden * (7 * element_bytes + kFp32Bytes);
  // The residual, its norm in fp32 and back, and the update.
  return bias + rows * (3 * element_bytes + 3 * kFp32Bytes) + std::max(attention, forward);
}

int64_t LayerMessageBytes(const TransformerConfig& config, const Geometry& geometry, bool guided,
                          int64_t element_bytes) {
  return MessageBytes(geometry, {.batch = geometry.branch_count(guided),
                                 .heads = config.num_attention_heads,
                                 .head_dim = config.attention_head_dim,
                                 .element_bytes = element_bytes});
}

}  // namespace cogwheel
