#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>

#include "proto/contract/nearest_size.h"
#include "proto/contract/validate.h"
#include "proto/contract/violations.h"

namespace cogwheel {
namespace {

constexpr int kDefaultPriority = 4;

void CheckFixed(std::string_view field, int64_t value, int64_t legal, std::string_view reason,
                Violations& out) {
  if (value == legal) return;
  out.Add(reason, field, value,
          " is not legal: the model has a learned position table; the nearest "
          "legal value is ",
          legal);
}

void CheckFrames(int64_t frames, const v1::ModelLimits& limits, Violations& out) {
  const int64_t multiple = std::max(1, limits.frames_multiple());
  const int64_t most = std::max(1, limits.max_frames());
  if (frames >= 1 && frames <= most && (frames - 1) % multiple == 0) return;
  const int64_t steps =
      std::clamp<int64_t>((frames - 1 + multiple / 2) / multiple, 0, (most - 1) / multiple);
  const int64_t nearest = steps * multiple + 1;
  const std::string why = frames < 1      ? "is not positive"
                          : frames > most ? absl::StrCat("exceeds the model's ", most)
                                          : absl::StrCat("is not ", multiple, "k+1");
  out.Add("FRAME_COUNT", "frames", frames, " ", why, "; the nearest legal value is ", nearest);
}

// One side of a size that is not legal, and what the nearest legal size has in its place.
struct Side {
  std::string_view field;
  int64_t value, nearest, most;
};

std::string WhyIllegal(const Side& side, const Side& other, int64_t max_area) {
  if (side.value > side.most) return absl::StrCat("exceeds the model's ", side.most);
  const int64_t area = side.value * other.value;
  if (side.value > 0 && other.value <= other.most && area > max_area) {
    return absl::StrCat("with ", std::string(other.field), " ", other.value, " is ", area,
                        " pixels, more than the model's ", max_area);
  }
  if (side.value > 0 && side.value % kSizeMultiple == 0) {
    return absl::StrCat("does not go with ", std::string(other.field), " ", other.value);
  }
  return absl::StrCat("is not a positive multiple of ", kSizeMultiple);
}

void CheckSide(const Side& side, const Side& other, int64_t max_area, Violations& out) {
  if (side.nearest == side.value) return;
  const std::string why = WhyIllegal(side, other, max_area);
  const bool alone = why.starts_with("is not") || other.nearest == other.value;
  const std::string nearest =
      alone ? absl::StrCat("value is ", side.nearest)
            : absl::StrCat("size is ", std::string(side.field), " ", side.nearest, ", ",
                           std::string(other.field), " ", other.nearest);
  out.Add(why.starts_with("is not") ? "SIZE_MULTIPLE" : "SIZE_LIMIT", side.field, side.value, " ",
          why, "; the nearest legal ", nearest);
}

// A side that was not given is the model's own, and is not the caller's to change.
void CheckSize(const v1::GenerateRequest& request, const v1::GenerateRequest& resolved,
               const v1::ModelLimits& limits, Violations& out) {
  if (!request.has_height() && !request.has_width()) return;
  const VideoSize asked = {resolved.height(), resolved.width()};
  const VideoSize nearest = NearestSize(asked, limits, !request.has_height(), !request.has_width());
  const Side height = {"height", asked.height, nearest.height, limits.max_height()};
  const Side width = {"width", asked.width, nearest.width, limits.max_width()};
  CheckSide(height, width, limits.max_area(), out);
  CheckSide(width, height, limits.max_area(), out);
}

void CheckPicture(const v1::GenerateRequest& request, const v1::Model& model, Violations& out) {
  const bool image = !request.image().empty(), input = !request.image_input().empty();
  if (model.limits().image_required()) {
    if (image || input) return;
    return out.Add("IMAGE", "image", "is missing; model ", model.name(),
                   " makes video from an image");
  }
  if (image) {
    out.Add("IMAGE", "image", "of ", request.image().size(), " bytes is refused; model ",
            model.name(), " makes video from text alone");
  }
  if (input) {
    out.Add("IMAGE", "image_input", "is refused; model ", model.name(),
            " makes video from text alone");
  }
}

void CheckWithModel(const v1::GenerateRequest& request, const v1::GenerateRequest& resolved,
                    const v1::Model& model, Violations& out) {
  const v1::ModelLimits& limits = model.limits();
  if (limits.fixed_shape()) {
    CheckFixed("frames", resolved.frames(), model.defaults().frames(), "FRAME_COUNT", out);
    CheckFixed("height", resolved.height(), model.defaults().height(), "SIZE_LIMIT", out);
    CheckFixed("width", resolved.width(), model.defaults().width(), "SIZE_LIMIT", out);
    CheckFixed("max_sequence_length", resolved.max_sequence_length(), limits.max_text_tokens(),
               "SEQUENCE_LENGTH", out);
  } else {
    CheckFrames(resolved.frames(), limits, out);
    CheckSize(request, resolved, limits, out);
    out.CheckRange("SEQUENCE_LENGTH", "max_sequence_length", resolved.max_sequence_length(), 1,
                   limits.max_text_tokens());
  }
  out.CheckRange("STEPS", "steps", resolved.steps(), 1, limits.max_steps());
  CheckPicture(request, model, out);
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
  v1::GenerateRequest resolved = WithDefaults(request, model, random_seed);
  CheckWithModel(request, resolved, model, violations);
  CheckWithoutModel(request, violations);
  const absl::Status status = violations.ToStatus();
  if (!status.ok()) return status;
  return resolved;
}

}  // namespace cogwheel
