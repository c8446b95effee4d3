#include "worker/pipeline/denoise_loop.h"

#include <array>
#include <string>

#include <ATen/ATen.h>

#include "base/failpoint.h"
#include "worker/device/device.h"
#include "worker/pipeline/finite.h"
#include "worker/pipeline/guidance.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

// The prediction of the other guidance half for the same rows.
at::Tensor ExchangeBranch(const DenoiseJob& job, const at::Tensor& mine) {
  const int peer = job.geometry.branch_peer();
  const at::Tensor theirs = at::empty_like(mine);
  const std::array sends{SendPiece{.peer = peer, .data = TensorBytes(mine)}};
  const std::array recvs{RecvPiece{.peer = peer, .data = TensorBytes(theirs)}};
  Exchange(job.world, sends, recvs, StreamOf(mine));
  return theirs;
}

// The v-prediction that the scheduler takes, [1, V_local, C·pt·p·p] fp32.
at::Tensor Predict(const DenoiseJob& job, const at::Tensor& text, const at::Tensor& input,
                   int64_t timestep) {
  const JobSpec& spec = job.spec;
  const int64_t branches = text.size(0);
  const at::Tensor output =
      job.denoiser
          .Predict(text, input.expand({branches, input.size(1), input.size(2)}).contiguous(),
                   timestep)
          .contiguous();
  if (!spec.guided()) return output.to(at::kFloat);
  const double scale = GuidanceScaleAt(spec.guidance_scale, spec.dynamic_cfg, spec.steps, timestep);
  if (branches == 2) {
    const at::Tensor both = output.to(at::kFloat);
    return Guide(both.narrow(0, 0, 1), both.narrow(0, 1, 1), scale);
  }
  const at::Tensor theirs = ExchangeBranch(job, output).to(at::kFloat);
  const at::Tensor mine = output.to(at::kFloat);
  return job.geometry.branch() == 0 ? Guide(mine, theirs, scale) : Guide(theirs, mine, scale);
}

// Consumes the step's draws and returns the one that counts; undefined without any. On the host,
// while a GPU works on the prediction.
at::Tensor DrawStepNoise(const DenoiseJob& job, int draw_count, NoiseStream& noise) {
  if (draw_count == 0) return {};
  for (int i = 0; i + 1 < draw_count; ++i) noise.Skip(job.layout);
  return noise.DrawRows(job.layout, job.geometry.video_rows());
}

// The step is done when its work is: progress is true, and a cancel waits for one step at most.
// What the host does between two steps costs a GPU well below a thousandth of one.
//   finite: AllFinite of the latents that the step has made.
void Report(const DenoiseJob& job, int done, int steps, const at::Tensor& clean,
            const at::Tensor& finite) {
  WaitFor(clean.device());
  if (!finite.item<bool>()) job.agreement.FoundNotFinite(job.place);
  ++job.work_counter;
  job.operations += job.step_operations;
  if (job.world.rank() == 0) job.sink.OnProgress(Stage::kDenoise, done, steps);
  const int every = job.spec.preview_every;
  if (every <= 0 || done % every != 0) return;
  SendPreview({.map = job.preview,
               .geometry = job.geometry,
               .layout = job.layout,
               .step = done,
               .steps = steps},
              clean, job.world, job.sink);
}

}  // namespace

at::Tensor Denoise(const DenoiseJob& job, const at::Tensor& text, const at::Tensor& image_rows,
                   NoiseStream& noise) {
  Scheduler scheduler(job.scheduler, job.spec.scheduler, job.spec.steps);
  at::Tensor sample = noise.DrawRows(job.layout, job.geometry.video_rows());
  if (job.world.rank() == 0) job.sink.OnProgress(Stage::kDenoise, 0, scheduler.steps());
  for (int i = 0; i < scheduler.steps(); ++i) {
    job.agreement.AgreeToRun();
    job.place = "step " + std::to_string(i + 1) + " of " + std::to_string(scheduler.steps());
    Failpoint("rank.step");
    const at::Tensor input = image_rows.defined() ? at::cat({sample, image_rows}, 2) : sample;
    const at::Tensor prediction = Predict(job, text, input, scheduler.timesteps()[i]);
    const at::Tensor drawn = DrawStepNoise(job, scheduler.DrawCount(i), noise);
    const Scheduler::Result result = scheduler.Step(i, sample, prediction, drawn);
    sample = result.sample.to(job.dtype);
    Report(job, i + 1, scheduler.steps(), result.clean, AllFinite(sample));
  }
  return sample;
}

}  // namespace cogwheel
