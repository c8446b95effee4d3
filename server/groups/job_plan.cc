#include "server/groups/job_plan.h"

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

using internal::v1::JobPlan;

// False for a value that this build does not know. The word is protocol 1's.
bool SetOutputType(v1::OutputType type, JobPlan& plan) {
  switch (type) {
    case v1::OUTPUT_TYPE_VIDEO:
      plan.set_output_type(internal::v1::OUTPUT_TYPE_VIDEO);
      plan.set_output_type_word("video");
      return true;
    case v1::OUTPUT_TYPE_FRAMES:
      plan.set_output_type(internal::v1::OUTPUT_TYPE_FRAMES);
      plan.set_output_type_word("frames");
      return true;
    case v1::OUTPUT_TYPE_LATENT:
      plan.set_output_type(internal::v1::OUTPUT_TYPE_LATENT);
      plan.set_output_type_word("latent");
      return true;
    case v1::OUTPUT_TYPE_UNSPECIFIED:
    case v1::OutputType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::OutputType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return false;
}

// As above.
bool SetScheduler(v1::Scheduler scheduler, JobPlan& plan) {
  switch (scheduler) {
    case v1::SCHEDULER_DDIM:
      plan.set_scheduler(internal::v1::SCHEDULER_DDIM);
      plan.set_scheduler_word("ddim");
      return true;
    case v1::SCHEDULER_DPM:
      plan.set_scheduler(internal::v1::SCHEDULER_DPM);
      plan.set_scheduler_word("dpm");
      return true;
    case v1::SCHEDULER_UNSPECIFIED:
    case v1::Scheduler_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Scheduler_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return false;
}

absl::Status Unknown(const char* field, int value) {
  return MakeError(absl::StatusCode::kUnimplemented, "NOT_UNDERSTOOD",
                   absl::StrCat("this server does not know ", field, " ", value,
                                ": a server of another release accepted the job"));
}

}  // namespace

absl::StatusOr<JobPlan> ToJobPlan(const AttemptOrder& order) {
  const v1::GenerateRequest& request = order.request;
  JobPlan plan;
  if (!SetOutputType(request.output_type(), plan)) {
    return Unknown("output_type", request.output_type());
  }
  if (!SetScheduler(request.scheduler(), plan)) return Unknown("scheduler", request.scheduler());
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
  plan.set_seed(request.seed());
  plan.set_max_sequence_length(request.max_sequence_length());
  plan.set_vae_tiling(request.vae_tiling());
  return plan;
}

}  // namespace cogwheel
