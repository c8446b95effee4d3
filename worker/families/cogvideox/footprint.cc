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

JobFootprint CountFootprint(const TransformerConfig& config, const Geometry& geometry, bool guided,
                            int64_t element_bytes) {
  const int64_t branches = geometry.branch_count(guided);
  // The sample, the image's half and the step's result; the prediction, two clean predictions and
  // the sum in fp32.
  const int64_t loop = geometry.video_rows().size() * PatchFeatures(config, config.out_channels) *
                       (3 * element_bytes + 4 * kFp32Bytes);
  const int64_t text_row = config.text_embed_dim * element_bytes;
  const int64_t own_text = branches * geometry.text_rows().size() * text_row;
  const int64_t all_text = (guided ? 2 : 1) * geometry.text_count() * text_row;
  return {.text = all_text + own_text,
          .denoise = ActivationBytes(config, geometry, branches, element_bytes) + loop + own_text};
}

}  // namespace cogwheel
