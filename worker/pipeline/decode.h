#pragma once

#include <atomic>
#include <cstdint>

#include <ATen/core/Tensor.h>

#include "worker/comm/communicator.h"
#include "worker/families/model.h"
#include "worker/pipeline/frame_sink.h"
#include "worker/pipeline/step_agreement.h"

namespace cogwheel {

// One job as the decode works on it; borrowed.
struct DecodeJob {
  const Codec& codec;
  Communicator& carries;  // over the world's ranks: for the carries alone
  Communicator& frames;   // over the world's ranks: finished frames to rank 0
  StepAgreement& agreement;
  FrameSink& sink;
  std::atomic<int64_t>& work_counter;
  bool tiling = false;
  bool wavefront_on_gpus = false;
};

// Latents to frames on all ranks (reference: pipeline_cogvideox.py decode_latents,
// autoencoder_kl_cogvideox.py _decode, video_processor.py postprocess_video).
//
// A wavefront: chunk i runs on rank i mod W, W chunks a round, and each causal convolution hands
// its last two frames to the rank of chunk i + 1 before it runs (sequence/wavefront.h), so that all
// ranks of a round go through the convolutions together. The numbers are the serial decode's. Rank
// 0 hands finished chunks to the sink in order while later ones run. At the start of round j the
// ranks agree whether round j + 1 runs, so no carry is left without a taker when a job is
// cancelled.
//
// On GPUs rank 0 decodes all chunks itself, unless `wavefront_on_gpus`.
//
// With `tiling`, where the reference would tile, tiles are shared out instead (tiled_decode.h).
//
// latents: [1, F, C, h, w], whole on every rank, padding frames dropped, as the transformer left
// them.
void DecodeFrames(const DecodeJob& job, const at::Tensor& latents);

// [B, 3, F, H, W] in the codec's dtype → [F, H, W, 3] uint8 on the CPU: clamp(0.5 y + 0.5, 0, 1) in
// that dtype, then round half even of 255 times it in fp32. B = 1.
at::Tensor ToBytes(const at::Tensor& pixels);

// ToBytes of finished frames, `first_frame` the clip's number of the first. Frames that are not
// finite are noted (StepAgreement::FoundNotFinite), and black: they have no bytes.
at::Tensor FinishFrames(StepAgreement& agreement, const at::Tensor& pixels, int64_t first_frame);

}  // namespace cogwheel
