#include "worker/pipeline/decode_estimate.h"

#include <numeric>
#include <vector>

#include "base/usable_cpus.h"
#include "worker/families/tiling.h"
#include "worker/pipeline/decode_cost.h"

namespace cogwheel {
namespace {

// Operations of each chunk, or of each tile with all its chunks.
std::vector<double> Parts(const Codec& codec, const LatentLayout& layout, bool tiled) {
  std::vector<TileRect> tiles = {{.height = layout.height, .width = layout.width}};
  if (tiled) tiles = CutTiles(layout.height, layout.width, codec.DecodePlan()).tiles;
  std::vector<double> parts;
  for (const TileRect& tile : tiles) {
    std::vector<double> chunks;
    for (const int64_t frames : codec.DecodeChunks(layout.frames - layout.leading_padding)) {
      chunks.push_back(codec.DecodeOperations(frames, tile.height, tile.width));
    }
    if (!tiled) return chunks;
    parts.push_back(std::accumulate(chunks.begin(), chunks.end(), 0.0));
  }
  return parts;
}

}  // namespace

double EstimateDecode(const JobSpec& spec, const Model& model, const LatentLayout& layout,
                      const Geometry& geometry, const PipelineOptions& options) {
  if (spec.output == OutputKind::kLatent) return 0;
  const bool on_gpus = options.device == DeviceKind::kCuda;
  const bool tiled = spec.vae_tiling && model.codec->TilesDecode(layout.height, layout.width);
  const bool alone = on_gpus && !options.wavefront_on_gpus && !tiled;
  return DecodeInSteps({.parts = Parts(*model.codec, layout, tiled),
                        .takers = alone ? 1 : options.mesh.size(),
                        .step = model.denoiser->StepOperations(geometry, spec.guided()),
                        .cores = on_gpus ? 0 : UsableCpus(),
                        .host_ranks = options.host_ranks,
                        .rank_threads = options.cpu_threads});
}

}  // namespace cogwheel
