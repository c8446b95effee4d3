#include "worker/pipeline/decode.h"

#include <algorithm>

#include <ATen/ATen.h>

#include "base/failpoint.h"
#include "worker/pipeline/frame_collector.h"
#include "worker/pipeline/tiled_decode.h"
#include "worker/sequence/shard.h"

namespace cogwheel {
namespace {

// The first frame of an odd chunk stands for itself, every other latent frame for four.
int64_t PixelFrames(int64_t latent_frames) {
  return latent_frames % 2 == 1 ? 4 * (latent_frames - 1) + 1 : 4 * latent_frames;
}

// One job's decode on one rank.
class Wavefront {
 public:
  Wavefront(const DecodeContext& context, const at::Tensor& latents)
      : context_(context),
        latents_(latents),
        chunks_(Vae::DecodeChunks(latents.size(2))),
        size_(context.frames.size()),
        rank_(context.frames.rank()),
        collector_(context.frames, context.sink, chunk_count()),
        handover_(context.carries, [this] { collector_.EmitReady(); }) {
    int64_t begin = 0;
    for (const int64_t frames : chunks_) {
      begins_.push_back(begin);
      begin += frames;
    }
  }

  void Run() {
    if (rank_ == 0) context_.sink.OnProgress(Stage::kDecode, 0, chunk_count());
    context_.agreement.AgreeToRun(BlockKind::kDecode);
    const int rounds = static_cast<int>(DivCeil(chunk_count(), size_));
    StepCommand next = StepCommand::kRun;
    for (int round = 0; round < rounds && next == StepCommand::kRun; ++round) {
      const bool final = round + 1 == rounds;
      if (!final) next = context_.agreement.Agree(BlockKind::kDecode);
      RunRound(round, /*last=*/final || next != StepCommand::kRun);
    }
    collector_.Finish();
    context_.agreement.LeaveUnlessRun(next);
  }

 private:
  int chunk_count() const { return static_cast<int>(chunks_.size()); }

  // Chunks round * W ... round * W + W - 1, one on each rank.
  void RunRound(int round, bool last) {
    const int first = round * size_;
    const int end = std::min(first + size_, chunk_count());
    for (int chunk = first; chunk < end; ++chunk) {
      collector_.Expect(chunk, chunk - first,
                        {PixelFrames(chunks_[chunk]), latents_.size(3) * kPixelsPerLatent,
                         latents_.size(4) * kPixelsPerLatent, 3});
    }
    const int mine = first + rank_;
    if (mine >= end) return;
    const bool has_next = mine + 1 < end || (!last && mine + 1 < chunk_count());
    handover_.BeginChunk(has_next, last);
    const at::Tensor pixels =
        context_.vae.DecodeChunk(latents_.narrow(2, begins_[mine], chunks_[mine]), handover_);
    collector_.Add(mine, ToBytes(pixels));
    ++context_.work_counter;
  }

  const DecodeContext& context_;
  const at::Tensor latents_;  // [1, C, F, h, w], divided by the scaling factor
  const std::vector<int64_t> chunks_;
  std::vector<int64_t> begins_;
  const int size_;
  const int rank_;
  FrameCollector collector_;
  ConvHandover handover_;
};

// Rank 0 decodes alone, chunk after chunk.
void DecodeChunksOnRoot(const DecodeContext& context, const at::Tensor& latents) {
  const std::vector<int64_t> chunks = Vae::DecodeChunks(latents.size(2));
  const int count = static_cast<int>(chunks.size());
  const bool root = context.frames.rank() == 0;
  if (root) context.sink.OnProgress(Stage::kDecode, 0, count);
  FrameCollector collector(context.frames, context.sink, count);
  CarryTable carry;
  int64_t begin = 0;
  for (int chunk = 0; chunk < count; ++chunk) {
    context.agreement.AgreeToRun(BlockKind::kDecode);
    if (root) {
      collector.Add(
          chunk, ToBytes(context.vae.DecodeChunk(latents.narrow(2, begin, chunks[chunk]), carry)));
    }
    ++context.work_counter;
    begin += chunks[chunk];
  }
}

}  // namespace

at::Tensor ToBytes(const at::Tensor& pixels) {
  const at::Tensor unit = at::clamp(pixels * 0.5 + 0.5, 0, 1);
  return at::round(unit.to(at::kFloat) * 255)
      .to(at::kByte)
      .squeeze(0)
      .permute({1, 2, 3, 0})
      .contiguous()
      .to(at::kCPU);
}

void DecodeFrames(const DecodeContext& context, const at::Tensor& latents) {
  Failpoint("rank.decode");
  const at::Tensor scaled =
      (latents.permute({0, 2, 1, 3, 4}) * (1 / context.vae.config().scaling_factor)).contiguous();
  if (context.tiling && context.vae.TilesDecode(scaled.size(3), scaled.size(4))) {
    DecodeTiles(context, scaled);
  } else if (scaled.is_cuda() && !context.wavefront_on_gpus) {
    DecodeChunksOnRoot(context, scaled);
  } else {
    Wavefront(context, scaled).Run();
  }
}

}  // namespace cogwheel
