#include "worker/pipeline/denoise_loop.h"

#include <array>

#include <ATen/ATen.h>

#include "base/failpoint.h"
#include "worker/device/device.h"
#include "worker/pipeline/guidance.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

// The prediction of the other guidance half for the same rows.
at::Tensor ExchangeBranch(const DenoiseContext& context, const at::Tensor& mine) {
  MeshCoord peer = context.layout.mesh.At(context.world.rank());
  peer.cfg = 1 - peer.cfg;
  const int peer_rank = context.layout.mesh.RankAt(peer);
  const at::Tensor theirs = at::empty_like(mine);
  const std::array sends{SendPiece{.peer = peer_rank, .data = TensorBytes(mine)}};
  const std::array recvs{RecvPiece{.peer = peer_rank, .data = TensorBytes(theirs)}};
  Exchange(context.world, sends, recvs, StreamOf(mine));
  return theirs;
}

// The v-prediction that the scheduler takes, [1, V_local, C·pt·p·p] fp32.
at::Tensor Predict(const DenoiseContext& context, const at::Tensor& text, const at::Tensor& input,
                   int64_t timestep) {
  const JobSpec& spec = context.spec;
  const int64_t branches = text.size(0);
  const at::Tensor output =
      context.transformer
          .Forward(context.transformer_job, text,
                   input.expand({branches, input.size(1), input.size(2)}).contiguous(), timestep)
          .contiguous();
  if (!spec.guided()) return output.to(at::kFloat);
  const double scale = GuidanceScaleAt(spec.guidance_scale, spec.dynamic_cfg, spec.steps, timestep);
  if (branches == 2) {
    const at::Tensor both = output.to(at::kFloat);
    return Guide(both.narrow(0, 0, 1), both.narrow(0, 1, 1), scale);
  }
  const at::Tensor theirs = ExchangeBranch(context, output).to(at::kFloat);
  const at::Tensor mine = output.to(at::kFloat);
  const bool negative = context.layout.mesh.At(context.world.rank()).cfg == 0;
  return negative ? Guide(mine, theirs, scale) : Guide(theirs, mine, scale);
}

// Consumes the step's draws and returns the one that counts; undefined without any. On the host,
// while a GPU works on the prediction.
at::Tensor DrawStepNoise(const DenoiseContext& context, int draw_count, NoiseStream& noise) {
  if (draw_count == 0) return {};
  for (int i = 0; i + 1 < draw_count; ++i) noise.Skip(context.layout.latents);
  return noise.DrawRows(context.layout.latents, context.layout.VideoRows(context.world.rank()));
}

// The step is done when its work is: progress is true, and a cancel waits for one step at most.
// What the host does between two steps costs a GPU well below a thousandth of one.
void Report(const DenoiseContext& context, int done, int steps, const at::Tensor& clean) {
  WaitFor(clean.device());
  ++context.work_counter;
  context.operations += context.step_operations;
  if (context.world.rank() == 0) context.sink.OnProgress(Stage::kDenoise, done, steps);
  const int every = context.spec.preview_every;
  if (every <= 0 || done % every != 0) return;
  SendPreview({.map = context.preview, .layout = context.layout, .step = done, .steps = steps},
              clean, context.world, context.sink);
}

}  // namespace

int64_t BranchCount(const JobSpec& spec, const Mesh& mesh) {
  return spec.guided() && mesh.cfg == 1 ? 2 : 1;
}

at::Tensor Denoise(const DenoiseContext& context, const at::Tensor& text,
                   const at::Tensor& image_rows, NoiseStream& noise) {
  Scheduler scheduler(context.scheduler, context.spec.scheduler, context.spec.steps);
  at::Tensor sample =
      noise.DrawRows(context.layout.latents, context.layout.VideoRows(context.world.rank()));
  if (context.world.rank() == 0) context.sink.OnProgress(Stage::kDenoise, 0, scheduler.steps());
  for (int i = 0; i < scheduler.steps(); ++i) {
    context.agreement.AgreeToRun();
    Failpoint("rank.step");
    const at::Tensor input = image_rows.defined() ? at::cat({sample, image_rows}, 2) : sample;
    const at::Tensor prediction = Predict(context, text, input, scheduler.timesteps()[i]);
    const at::Tensor drawn = DrawStepNoise(context, scheduler.DrawCount(i), noise);
    const Scheduler::Result result = scheduler.Step(i, sample, prediction, drawn);
    sample = result.sample.to(context.dtype);
    Report(context, i + 1, scheduler.steps(), result.clean);
  }
  return sample;
}

}  // namespace cogwheel
