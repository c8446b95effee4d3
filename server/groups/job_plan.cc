#include "server/groups/job_plan.h"

namespace cogwheel {
namespace {

const char* OutputTypeName(v1::OutputType type) {
  switch (type) {
    case v1::OUTPUT_TYPE_FRAMES:
      return "frames";
    case v1::OUTPUT_TYPE_LATENT:
      return "latent";
    default:
      return "video";
  }
}

}  // namespace

internal::v1::JobPlan ToJobPlan(const AttemptOrder& order) {
  const v1::GenerateRequest& request = order.request;
  internal::v1::JobPlan plan;
  plan.set_prompt(request.prompt());
  plan.set_negative_prompt(request.negative_prompt());
  plan.set_has_image(order.image != nullptr);
  plan.set_frames(request.frames());
  plan.set_height(request.height());
  plan.set_width(request.width());
  plan.set_fps(request.fps());
  plan.set_steps(request.steps());
  plan.set_guidance_scale(request.guidance_scale());
  plan.set_dynamic_cfg(request.dynamic_cfg());
  plan.set_scheduler(request.scheduler() == v1::SCHEDULER_DPM ? "dpm" : "ddim");
  plan.set_seed(request.seed());
  plan.set_max_sequence_length(request.max_sequence_length());
  plan.set_vae_tiling(request.vae_tiling());
  plan.set_output_type(OutputTypeName(request.output_type()));
  return plan;
}

}  // namespace cogwheel
