#include <algorithm>
#include <cstdint>
#include <string_view>

#include "proto/contract/validate.h"
#include "proto/contract/violations.h"

namespace cogwheel {
namespace {

constexpr int kDefaultPriority = 4;

void CheckFixed(std::string_view field, int64_t value, int64_t legal, std::string_view reason,
                Violations& out) {
  if (value == legal || out.Has(field)) return;
  out.Add(reason, field, value,
          " is not legal: the model has a learned position table; the nearest "
          "legal value is ",
          legal);
}

void CheckFrames(int64_t frames, const v1::ModelLimits& limits, Violations& out) {
  const int64_t multiple = std::max(1, limits.frames_multiple());
  const int64_t most = std::max(1, limits.max_frames());
  if (out.Has("frames") || (frames <= most && (frames - 1) % multiple == 0)) return;
  const int64_t steps = std::min((frames - 1 + multiple / 2) / multiple, (most - 1) / multiple);
  const int64_t nearest = steps * multiple + 1;
  if (frames > most) {
    out.Add("FRAME_COUNT", "frames", frames, " exceeds the model's ", most,
            "; the nearest legal value is ", nearest);
  } else {
    out.Add("FRAME_COUNT", "frames", frames, " is not ", multiple,
            "k+1; the nearest legal value is ", nearest);
  }
}

void CheckMaxSide(std::string_view field, int64_t value, int64_t most, Violations& out) {
  if (value <= most || out.Has(field)) return;
  out.Add("SIZE_LIMIT", field, value, " exceeds the model's ", most,
          "; the nearest legal value is ", most / kSizeMultiple * kSizeMultiple);
}

void CheckMaxSides(const v1::GenerateRequest& request, const v1::ModelLimits& limits,
                   Violations& out) {
  CheckMaxSide("height", request.height(), limits.max_height(), out);
  CheckMaxSide("width", request.width(), limits.max_width(), out);
}

void CheckArea(const v1::GenerateRequest& resolved, const v1::ModelLimits& limits,
               Violations& out) {
  const int64_t area = int64_t{resolved.height()} * resolved.width();
  if (out.Has("height") || out.Has("width") || area <= limits.max_area()) return;
  // The side that leaves more room than it uses stays; the other one shrinks.
  const int64_t height = limits.max_area() / resolved.width() / kSizeMultiple * kSizeMultiple;
  const int64_t width = limits.max_area() / resolved.height() / kSizeMultiple * kSizeMultiple;
  const bool shrink_height = height >= kSizeMultiple;
  out.Add("SIZE_LIMIT", shrink_height ? "height" : "width",
          shrink_height ? resolved.height() : resolved.width(), " with ",
          shrink_height ? "width " : "height ",
          shrink_height ? resolved.width() : resolved.height(), " is ", area,
          " pixels, more than the model's ", limits.max_area(), "; the nearest legal value is ",
          shrink_height ? height : width);
}

void CheckWithModel(const v1::GenerateRequest& resolved, const v1::Model& model, Violations& out) {
  const v1::ModelLimits& limits = model.limits();
  if (limits.fixed_shape()) {
    CheckFixed("frames", resolved.frames(), model.defaults().frames(), "FRAME_COUNT", out);
    CheckFixed("height", resolved.height(), model.defaults().height(), "SIZE_LIMIT", out);
    CheckFixed("width", resolved.width(), model.defaults().width(), "SIZE_LIMIT", out);
    CheckFixed("max_sequence_length", resolved.max_sequence_length(), limits.max_text_tokens(),
               "SEQUENCE_LENGTH", out);
  } else {
    CheckFrames(resolved.frames(), limits, out);
    CheckArea(resolved, limits, out);
    if (!out.Has("max_sequence_length")) {
      out.CheckRange("SEQUENCE_LENGTH", "max_sequence_length", resolved.max_sequence_length(), 1,
                     limits.max_text_tokens());
    }
  }
  if (!out.Has("steps")) {
    out.CheckRange("STEPS", "steps", resolved.steps(), 1, limits.max_steps());
  }
  if (limits.image_required() && resolved.image().empty()) {
    out.Add("IMAGE", "image", "is missing; model ", model.name(), " makes video from an image");
  }
  if (!limits.image_required() && !resolved.image().empty() && !out.Has("image")) {
    out.Add("IMAGE", "image", "of ", resolved.image().size(), " bytes is refused; model ",
            model.name(), " makes video from text alone");
  }
}

v1::GenerateRequest WithDefaults(const v1::GenerateRequest& request, const v1::Model& model,
                                 uint32_t random_seed) {
  v1::GenerateRequest resolved = request;
  const v1::ModelDefaults& defaults = model.defaults();
  resolved.set_model(model.name());
  if (request.output_type() == v1::OUTPUT_TYPE_UNSPECIFIED) {
    resolved.set_output_type(v1::OUTPUT_TYPE_VIDEO);
  }
  if (!request.has_frames()) resolved.set_frames(defaults.frames());
  if (!request.has_height()) resolved.set_height(defaults.height());
  if (!request.has_width()) resolved.set_width(defaults.width());
  if (!request.has_fps()) resolved.set_fps(defaults.fps());
  if (!request.has_steps()) resolved.set_steps(defaults.steps());
  if (!request.has_guidance_scale()) resolved.set_guidance_scale(defaults.guidance_scale());
  if (!request.has_dynamic_cfg()) resolved.set_dynamic_cfg(false);
  if (request.scheduler() == v1::SCHEDULER_UNSPECIFIED) {
    resolved.set_scheduler(defaults.scheduler());
  }
  if (!request.has_seed()) resolved.set_seed(random_seed);
  if (!request.has_max_sequence_length()) {
    resolved.set_max_sequence_length(model.limits().max_text_tokens());
  }
  if (!request.has_vae_tiling()) resolved.set_vae_tiling(false);
  if (!request.has_priority()) resolved.set_priority(kDefaultPriority);
  return resolved;
}

}  // namespace

absl::StatusOr<v1::GenerateRequest> ResolveRequest(const v1::GenerateRequest& request,
                                                   const v1::Model& model, uint32_t random_seed) {
  Violations violations;
  // First: of a side that is too long the nearest is the longest, whatever it is a multiple of.
  if (!model.limits().fixed_shape()) CheckMaxSides(request, model.limits(), violations);
  CheckWithoutModel(request, violations);
  v1::GenerateRequest resolved = WithDefaults(request, model, random_seed);
  CheckWithModel(resolved, model, violations);
  const absl::Status status = violations.ToStatus();
  if (!status.ok()) return status;
  return resolved;
}

}  // namespace cogwheel
