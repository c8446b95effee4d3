#include "worker/families/cogvideox/model_footprints.h"

#include <algorithm>
#include <set>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/native/ConvUtils.h>

#include "worker/families/cogvideox/footprint.h"
#include "worker/families/cogvideox/text_encoder.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/families/cogvideox/vae.h"
#include "worker/families/cogvideox/vae_footprint.h"
#include "worker/families/cogvideox/vae_tiling.h"
#include "worker/weights/weight_source.h"

namespace cogwheel {
namespace {

constexpr int64_t kColours = 3;
constexpr int64_t kFp32Bytes = sizeof(float);
// Of the denoising, whatever the clip: tables by step, time embeddings, an attention kernel's
// tiles.
constexpr int64_t kSmallTensors = 1 << 20;

// Loads nothing and counts what would be loaded.
class CountedWeights final : public WeightSource {
 public:
  bool Has(const std::string& /*name*/) const override { return true; }
  at::Tensor Load(const std::string& /*name*/, at::IntArrayRef shape, at::Device /*device*/,
                  at::ScalarType dtype) const override {
    at::Tensor nothing = at::empty(shape, at::TensorOptions(dtype).device(at::kMeta));
    bytes_ += static_cast<int64_t>(nothing.nbytes());
    return nothing;
  }
  int64_t bytes() const { return bytes_; }

 private:
  mutable int64_t bytes_ = 0;
};

// Of halves oneDNN takes those for which the processor has instructions, whatever the size.
ConvMethod MethodOnCpu(at::ScalarType dtype) {
  if (dtype == at::kFloat) return ConvMethod::kBySize;
  const std::vector<c10::SymInt> ones(3, 1), zeros(3, 0);
  const at::Tensor x = at::zeros({1, 1, 1, 1, 1}, at::TensorOptions(dtype));
  const auto chosen = at::native::select_conv_backend(x, x, /*bias_opt=*/{}, ones, zeros, ones,
                                                      /*transposed=*/false, zeros, /*groups=*/1,
                                                      /*bias_sizes_opt=*/{});
  return chosen == at::native::ConvBackend::Mkldnn ? ConvMethod::kReordered : ConvMethod::kColumns;
}

class ModelFootprints final : public Footprints {
 public:
  ModelFootprints(const CheckpointConfigs& configs, at::Device device, at::ScalarType dtype)
      : configs_(configs),
        on_gpu_(device.is_cuda()),
        dtype_(dtype),
        method_(on_gpu_ ? ConvMethod::kReordered : MethodOnCpu(dtype)),
        element_bytes_(static_cast<int64_t>(at::elementSize(dtype))) {}

  JobFootprint Bound(const JobShape& shape, const RankPlace& place) const override;
  int64_t WeightBytes(int world_rank) const override;
  int frames_multiple() const override { return configs_.transformer.version_1_5() ? 16 : 8; }
  bool fixed_size() const override {
    return configs_.transformer.use_learned_positional_embeddings;
  }

 private:
  // Of the whole clip.
  int64_t LatentBytes(const LatentLayout& layout) const {
    return layout.frames * layout.channels * layout.height * layout.width * element_bytes_;
  }
  int64_t PictureBytes(const JobShape& shape, const LatentLayout& layout, bool first) const;
  struct DecodeShare {
    bool alone = false;  // rank 0 has all chunks
    bool tiled = false;
    int carry_tables = 0;           // held at once
    int64_t pixel_frames = 0;       // of all its chunks
    std::set<ChunkExtent> extents;  // of what is decoded at once, each but once
  };
  DecodeShare ShareOf(const JobShape& shape, const LatentLayout& layout,
                      const RankPlace& place) const;
  JobFootprint DecodeBytes(const JobShape& shape, const LatentLayout& layout,
                           const RankPlace& place) const;
  int64_t TiledBytes(const JobShape& shape, int64_t chunk_peak, const ChunkExtent& tile,
                     bool first) const;

  const CheckpointConfigs configs_;
  const bool on_gpu_;
  const at::ScalarType dtype_;
  const ConvMethod method_;
  const int64_t element_bytes_;
};

// Pixels of a whole clip become bytes in a few steps, in the model's dtype and in fp32.
int64_t ToBytesBytes(int64_t pixels, int64_t element_bytes) {
  return kColours * pixels * (4 * element_bytes + 3 * kFp32Bytes);
}

int64_t ModelFootprints::PictureBytes(const JobShape& shape, const LatentLayout& layout,
                                      bool first) const {
  const int64_t shared = 5 * LatentBytes(layout);  // with zeros behind it, cut into patches
  if (!first) return shared;
  const int64_t pixels = int64_t{shape.size.height} * shape.size.width;
  const ChunkNumbers encoder = EncodeChunkNumbers(
      configs_.vae, {.frames = 1, .height = shape.size.height, .width = shape.size.width}, method_);
  // The picture as it came and on its way to the clip's size, in bytes and in fp32.
  const int64_t prepared = 3 * shape.picture_bytes + kColours * pixels * (2 + 4 * kFp32Bytes);
  return std::max(prepared, (encoder.peak + encoder.carry) * element_bytes_ +
                                kColours * pixels * kFp32Bytes + shape.picture_bytes) +
         shared;
}

// Each tile decodes the whole clip's chunks; world rank 0 puts them together.
int64_t ModelFootprints::TiledBytes(const JobShape& shape, int64_t chunk_peak,
                                    const ChunkExtent& tile, bool first) const {
  const int64_t frames = shape.size.frames;
  const int64_t tile_pixels =
      frames * tile.height * tile.width * kPixelsPerLatent * kPixelsPerLatent;
  const int64_t clip = frames * shape.size.height * shape.size.width;
  const int64_t own = chunk_peak + 2 * kColours * tile_pixels * element_bytes_;
  // Tiles of two rows, cut and put together, and the rows' results.
  return first ? own + 5 * kColours * clip * element_bytes_ + ToBytesBytes(clip, element_bytes_)
               : own;
}

// The rank's share of the decode: tiles, chunks of the wavefront, or all chunks.
ModelFootprints::DecodeShare ModelFootprints::ShareOf(const JobShape& shape,
                                                      const LatentLayout& layout,
                                                      const RankPlace& place) const {
  const TilePlan plan = DecodeTilePlan(configs_.vae.sample_height, configs_.vae.sample_width);
  const bool one_gpu = on_gpu_ && !place.wavefront_on_gpus;
  DecodeShare share = {.alone = place.mesh.size() == 1 || one_gpu,
                       .tiled = shape.tiled && (layout.height > plan.height.tile_in ||
                                                layout.width > plan.width.tile_in)};
  std::vector<TileRect> parts = {{.height = layout.height, .width = layout.width}};
  if (share.tiled) parts = CutTiles(layout.height, layout.width, plan).tiles;
  const std::vector<int64_t> chunks = Vae::DecodeChunksOf(layout.frames - layout.leading_padding);
  const bool all = share.tiled || share.alone;
  const size_t begin = all ? 0 : place.world_rank, step = all ? 1 : place.mesh.size();
  for (size_t i = begin; i < chunks.size(); i += step) {
    share.pixel_frames += Vae::PixelFramesOf(chunks[i]);
    for (const TileRect& part : parts) share.extents.insert({chunks[i], part.height, part.width});
  }
  // A table of carries is filled by the last chunk too.
  const bool first = place.world_rank == 0;
  share.carry_tables = share.tiled || one_gpu || (first && chunks.size() > 1) ? 1 : 0;
  // Rank 0 of a wavefront holds what it sends beside what it has received for its next round.
  if (first && !all && chunks.size() > step) ++share.carry_tables;
  if (one_gpu && !first && !share.tiled) share.extents.clear();
  return share;
}

JobFootprint ModelFootprints::DecodeBytes(const JobShape& shape, const LatentLayout& layout,
                                          const RankPlace& place) const {
  const int64_t latents = 3 * LatentBytes(layout);  // gathered, without padding, scaled
  const DecodeShare share = ShareOf(shape, layout, place);
  if (share.extents.empty()) return {.decode = latents};
  // A smaller chunk may take more: where it is small enough for columns.
  ChunkNumbers most;
  ChunkExtent largest;
  for (const ChunkExtent& extent : share.extents) {
    const ChunkNumbers numbers = DecodeChunkNumbers(configs_.vae, extent, method_);
    most = {std::max(most.peak, numbers.peak), std::max(most.carry, numbers.carry)};
    if (extent.count() > largest.count()) largest = extent;
  }
  const bool first = place.world_rank == 0;
  const int64_t peak = (most.peak + share.carry_tables * most.carry) * element_bytes_;
  if (share.tiled) return {.decode = latents + TiledBytes(shape, peak, largest, first)};
  // Rank 0 collects the clip's frames; others keep theirs until all are sent.
  const int64_t collected = kColours * (first ? shape.size.frames : share.pixel_frames) *
                            shape.size.height * shape.size.width;
  const int64_t pixels = Vae::PixelFramesOf(largest.frames) * shape.size.height * shape.size.width;
  const int64_t carries = share.alone ? 0 : 2 * most.carry * element_bytes_;
  return {.decode = latents + collected + std::max(peak, ToBytesBytes(pixels, element_bytes_)),
          .exchange = carries + (on_gpu_ ? 0 : 2 * collected)};
}

JobFootprint ModelFootprints::Bound(const JobShape& shape, const RankPlace& place) const {
  const TransformerConfig& config = configs_.transformer;
  const LatentLayout layout = LayOutLatents(config, shape.size);
  const Geometry geometry(place.mesh.ForGuidance(shape.guided), place.world_rank,
                          {.text_count = shape.text_tokens, .video = layout.grid()});
  CheckFits(config, geometry);
  const bool first = place.world_rank == 0;
  JobFootprint bytes;
  if (shape.decoded) bytes = DecodeBytes(shape, layout, place);
  const int64_t encoded =
      first ? EncodeTextBytes(configs_.text_encoder, shape.text_tokens, element_bytes_) : 0;
  bytes.text = encoded + SharedTextBytes(config, geometry, shape.guided, element_bytes_);
  const int64_t own_text = geometry.branch_count(shape.guided) * geometry.text_rows().size() *
                           config.text_embed_dim * element_bytes_;
  const int64_t own_picture = shape.has_picture
                                  ? LatentBytes(layout) / std::max<int64_t>(layout.row_count(), 1) *
                                        geometry.video_rows().size()
                                  : 0;
  if (shape.has_picture) bytes.picture = own_text + PictureBytes(shape, layout, first);
  bytes.denoise =
      DenoiseBytes(config, geometry, shape.guided, element_bytes_) + own_picture + kSmallTensors;
  if (!on_gpu_) {
    bytes.exchange =
        std::max(bytes.exchange, LayerMessageBytes(config, geometry, shape.guided, element_bytes_));
  }
  return bytes;
}

int64_t ModelFootprints::WeightBytes(int world_rank) const {
  const bool first = world_rank == 0;
  const CountedWeights weights;
  const at::Device nowhere(at::kMeta);
  Transformer::Load(configs_.transformer, weights, nowhere, dtype_);
  Vae::Load(configs_.vae, weights, nowhere, dtype_,
            /*with_encoder=*/first && configs_.model_index.image_to_video());
  if (first) TextEncoder(configs_.text_encoder, weights, nowhere, dtype_);
  return weights.bytes();
}

}  // namespace

std::unique_ptr<Footprints> CogVideoXFootprints(const CheckpointConfigs& configs, at::Device device,
                                                at::ScalarType dtype) {
  return std::make_unique<ModelFootprints>(configs, device, dtype);
}

}  // namespace cogwheel
