#include "worker/pipeline/decode.h"

#include <algorithm>
#include <string>

#include <ATen/ATen.h>

#include "base/failpoint.h"
#include "worker/pipeline/finite.h"
#include "worker/pipeline/frame_collector.h"
#include "worker/pipeline/tiled_decode.h"
#include "worker/sequence/shard.h"
#include "worker/sequence/wavefront.h"

namespace cogwheel {
namespace {

// One job's decode on one rank.
class Wavefront {
 public:
  Wavefront(const DecodeJob& job, const at::Tensor& latents)
      : job_(job),
        latents_(latents),
        chunks_(job.codec.DecodeChunks(latents.size(2))),
        size_(job.frames.size()),
        rank_(job.frames.rank()),
        collector_(job.frames, job.sink, chunk_count()),
        handover_(job.carries, [this] { collector_.EmitReady(); }) {
    int64_t begin = 0, pixel_begin = 0;
    for (const int64_t frames : chunks_) {
      begins_.push_back(begin);
      pixel_begins_.push_back(pixel_begin);
      begin += frames;
      pixel_begin += job.codec.PixelFrames(frames);
    }
  }

  void Run() {
    if (rank_ == 0) job_.sink.OnProgress(Stage::kDecode, 0, chunk_count());
    job_.agreement.AgreeToRun(BlockKind::kDecode);
    const int rounds = static_cast<int>(DivCeil(chunk_count(), size_));
    StepCommand next = StepCommand::kRun;
    for (int round = 0; round < rounds && next == StepCommand::kRun; ++round) {
      const bool final = round + 1 == rounds;
      if (!final) next = job_.agreement.Agree(BlockKind::kDecode);
      RunRound(round, /*last=*/final || next != StepCommand::kRun);
    }
    collector_.Finish();
    job_.agreement.LeaveUnlessRun(next);
  }

 private:
  int chunk_count() const { return static_cast<int>(chunks_.size()); }

  // Chunks round * W ... round * W + W - 1, one on each rank.
  void RunRound(int round, bool last) {
    const int first = round * size_;
    const int end = std::min(first + size_, chunk_count());
    const int64_t pixels = job_.codec.pixels_per_latent();
    for (int chunk = first; chunk < end; ++chunk) {
      collector_.Expect(chunk, chunk - first,
                        {job_.codec.PixelFrames(chunks_[chunk]), latents_.size(3) * pixels,
                         latents_.size(4) * pixels, 3});
    }
    const int mine = first + rank_;
    if (mine >= end) return;
    const bool has_next = mine + 1 < end || (!last && mine + 1 < chunk_count());
    handover_.BeginChunk(has_next, last);
    const at::Tensor decoded =
        job_.codec.DecodeChunk(latents_.narrow(2, begins_[mine], chunks_[mine]), handover_);
    collector_.Add(mine, FinishFrames(job_.agreement, decoded, pixel_begins_[mine]));
    ++job_.work_counter;
  }

  const DecodeJob& job_;
  const at::Tensor latents_;  // [1, C, F, h, w], divided by the scaling factor
  const std::vector<int64_t> chunks_;
  std::vector<int64_t> begins_, pixel_begins_;  // of the chunks, in frames
  const int size_;
  const int rank_;
  FrameCollector collector_;
  ConvHandover handover_;
};

// Rank 0 decodes alone, chunk after chunk.
void DecodeChunksOnRoot(const DecodeJob& job, const at::Tensor& latents) {
  const std::vector<int64_t> chunks = job.codec.DecodeChunks(latents.size(2));
  const int count = static_cast<int>(chunks.size());
  const bool root = job.frames.rank() == 0;
  if (root) job.sink.OnProgress(Stage::kDecode, 0, count);
  FrameCollector collector(job.frames, job.sink, count);
  CarryTable carry;
  int64_t begin = 0, pixel_begin = 0;
  for (int chunk = 0; chunk < count; ++chunk) {
    job.agreement.AgreeToRun(BlockKind::kDecode);
    if (root) {
      const at::Tensor pixels =
          job.codec.DecodeChunk(latents.narrow(2, begin, chunks[chunk]), carry);
      collector.Add(chunk, FinishFrames(job.agreement, pixels, pixel_begin));
    }
    ++job.work_counter;
    begin += chunks[chunk];
    pixel_begin += job.codec.PixelFrames(chunks[chunk]);
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

at::Tensor FinishFrames(StepAgreement& agreement, const at::Tensor& pixels, int64_t first_frame) {
  if (AllFinite(pixels).item<bool>()) return ToBytes(pixels);
  int64_t frame = 0;
  while (AllFinite(pixels.select(2, frame)).item<bool>()) ++frame;
  agreement.FoundNotFinite("decoded frame " + std::to_string(first_frame + frame + 1));
  return ToBytes(at::zeros_like(pixels));
}

void DecodeFrames(const DecodeJob& job, const at::Tensor& latents) {
  Failpoint("rank.decode");
  const at::Tensor scaled = job.codec.Unscale(latents);
  if (job.tiling && job.codec.TilesDecode(scaled.size(3), scaled.size(4))) {
    DecodeTiles(job, scaled);
  } else if (scaled.is_cuda() && !job.wavefront_on_gpus) {
    DecodeChunksOnRoot(job, scaled);
  } else {
    Wavefront(job, scaled).Run();
  }
}

}  // namespace cogwheel
