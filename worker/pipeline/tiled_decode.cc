#include "worker/pipeline/tiled_decode.h"

#include <vector>

#include <ATen/ATen.h>

#include "worker/pipeline/frame_collector.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

class TiledDecode {
 public:
  TiledDecode(const DecodeJob& job, const at::Tensor& latents)
      : job_(job),
        latents_(latents),
        chunks_(job.codec.DecodeChunks(latents.size(2))),
        grid_(CutTiles(latents.size(3), latents.size(4), job.codec.DecodePlan())),
        size_(job.frames.size()),
        rank_(job.frames.rank()),
        blender_(job.codec.DecodePlan(), grid_.columns) {}

  void Run() {
    if (rank_ == 0) job_.sink.OnProgress(Stage::kDecode, 0, 1);
    for (int first = 0; first < tile_count(); first += size_) {
      const at::Tensor mine = DecodeMine(first + rank_);
      Collect(first, mine);
    }
    if (rank_ != 0) return;
    FrameCollector collector(job_.frames, job_.sink, /*chunk_count=*/1);
    collector.Add(0, FinishFrames(job_.agreement, blender_.Result(), /*first_frame=*/0));
  }

 private:
  int tile_count() const { return static_cast<int>(grid_.tiles.size()); }

  // [1, 3, F, H, W] of this rank's tile of the round; undefined when there is none left for it. All
  // ranks agree alike.
  at::Tensor DecodeMine(int tile) {
    CarryTable carry;
    std::vector<at::Tensor> parts;
    int64_t begin = 0;
    for (const int64_t frames : chunks_) {
      job_.agreement.AgreeToRun(BlockKind::kDecode);
      if (tile < tile_count()) {
        const at::Tensor input = TileOf(latents_.narrow(2, begin, frames), grid_.tiles[tile]);
        parts.push_back(job_.codec.DecodeChunk(input, carry));
        ++job_.work_counter;
      }
      begin += frames;
    }
    return parts.empty() ? at::Tensor() : at::cat(parts, 2);
  }

  // The round's tiles to rank 0, by way of host memory.
  void Collect(int first, const at::Tensor& mine) {
    if (rank_ != 0) {
      if (!mine.defined()) return;
      const at::Tensor host = mine.to(at::kCPU).contiguous();
      const SendPiece send{.peer = 0, .data = TensorBytes(host)};
      return Exchange(job_.frames, {&send, 1}, {}, nullptr);
    }
    blender_.Add(mine);
    const int end = std::min(first + size_, tile_count());
    const int64_t pixels = job_.codec.pixels_per_latent();
    for (int tile = first + 1; tile < end; ++tile) {
      const TileRect& rect = grid_.tiles[tile];
      const at::Tensor host =
          at::empty({1, mine.size(1), mine.size(2), rect.height * pixels, rect.width * pixels},
                    mine.options().device(at::kCPU));
      const RecvPiece recv{.peer = tile - first, .data = TensorBytes(host)};
      Exchange(job_.frames, {}, {&recv, 1}, nullptr);
      blender_.Add(host.to(mine.device()));
    }
  }

  const DecodeJob& job_;
  const at::Tensor latents_;
  const std::vector<int64_t> chunks_;
  const TileGrid grid_;
  const int size_;
  const int rank_;
  TileBlender blender_;  // rank 0's
};

}  // namespace

void DecodeTiles(const DecodeJob& job, const at::Tensor& latents) {
  TiledDecode(job, latents).Run();
}

}  // namespace cogwheel
