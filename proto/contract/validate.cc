#include "proto/contract/validate.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr int kSizeMultiple = 16;
constexpr int kMaxFps = 120, kMaxSteps = 200, kMaxPriority = 9, kDefaultPriority = 4;
constexpr double kMaxGuidance = 50;
constexpr int64_t kMaxDeadlineSeconds = 7 * 24 * 3600;
constexpr int kMaxLabels = 16;
constexpr size_t kMaxLabelKeyBytes = 63, kMaxLabelValueBytes = 255;
constexpr size_t kMaxRequestIdBytes = 128, kMaxModelNameBytes = 128;

// Collects every violation; the first one's reason is the error's.
class Violations {
 public:
  template <typename... Parts>
  void Add(std::string_view reason, std::string_view field, const Parts&... parts) {
    if (violations_.empty()) reason_ = reason;
    violations_.push_back({std::string(field), absl::StrCat(std::string(field), " ", parts...)});
  }
  bool Has(std::string_view field) const {
    return std::any_of(violations_.begin(), violations_.end(),
                       [field](const FieldViolation& v) { return v.field == field; });
  }
  absl::Status ToStatus() const {
    return violations_.empty() ? absl::OkStatus() : MakeInvalidArgument(reason_, violations_);
  }

 private:
  std::string reason_;
  std::vector<FieldViolation> violations_;
};

// Length in bytes of the well-formed UTF-8 character at the front, 0 if there is none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;  // surrogates
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return size;
}

// Offset of the first byte that is no UTF-8; npos when all is well.
size_t FirstBadByte(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const size_t size = CharacterBytes(text.substr(offset));
    if (size == 0) return offset;
    offset += size;
  }
  return std::string_view::npos;
}

void CheckText(std::string_view field, const std::string& text, int64_t limit, Violations& out) {
  if (static_cast<int64_t>(text.size()) > limit) {
    out.Add("PROMPT", field, "has ", text.size(), " bytes; at most ", limit, " are legal");
  }
  const size_t bad = FirstBadByte(text);
  if (bad != std::string_view::npos) {
    out.Add("PROMPT", field, "is not valid UTF-8 at byte ", bad);
  }
}

void CheckRange(std::string_view field, int64_t value, int64_t low, int64_t high,
                std::string_view reason, Violations& out) {
  if (value >= low && value <= high) return;
  out.Add(reason, field, value, " is outside ", low, " to ", high, "; the nearest legal value is ",
          std::clamp(value, low, high));
}

void CheckSide(std::string_view field, int64_t value, Violations& out) {
  if (value >= kSizeMultiple && value % kSizeMultiple == 0) return;
  const int64_t nearest =
      std::max<int64_t>(kSizeMultiple, (value + kSizeMultiple / 2) / kSizeMultiple * kSizeMultiple);
  out.Add("SIZE_MULTIPLE", field, value, " is not a positive multiple of ", kSizeMultiple,
          "; the nearest legal value is ", nearest);
}

void CheckImage(const std::string& image, Violations& out) {
  if (image.empty()) return;
  if (static_cast<int64_t>(image.size()) > kMaxImageBytes) {
    out.Add("IMAGE", "image", "has ", image.size(), " bytes; at most ", kMaxImageBytes,
            " are legal");
    return;
  }
  const absl::StatusOr<ImageSize> size = ReadImageSize(image);
  if (!size.ok()) {
    out.Add("IMAGE", "image", "cannot be used: ", size.status().message(),
            "; legal are PNG and JPEG files");
    return;
  }
  if (size->width > kMaxImageSide || size->height > kMaxImageSide) {
    out.Add("IMAGE", "image", "has ", size->width, " x ", size->height, " pixels; at most ",
            kMaxImageSide, " a side are legal");
  } else if (int64_t{size->width} * size->height > kMaxImagePixels) {
    out.Add("IMAGE", "image", "has ", size->width, " x ", size->height, " pixels; at most ",
            kMaxImagePixels, " in all are legal");
  }
}

void CheckSampling(const v1::GenerateRequest& request, Violations& out) {
  if (request.has_frames() && request.frames() < 1) {
    out.Add("FRAME_COUNT", "frames", request.frames(),
            " is not positive; the nearest legal value is 1");
  }
  if (request.has_height()) CheckSide("height", request.height(), out);
  if (request.has_width()) CheckSide("width", request.width(), out);
  if (request.has_fps()) CheckRange("fps", request.fps(), 1, kMaxFps, "FPS", out);
  if (request.has_steps()) CheckRange("steps", request.steps(), 1, kMaxSteps, "STEPS", out);
  if (request.has_guidance_scale()) {
    const double scale = request.guidance_scale();
    if (!std::isfinite(scale)) {
      out.Add("GUIDANCE", "guidance_scale", scale, " is not a finite number; legal is 0 to 50");
    } else if (scale < 0 || scale > kMaxGuidance) {
      out.Add("GUIDANCE", "guidance_scale", scale,
              " is outside 0 to 50; the nearest legal value is ", scale < 0 ? 0 : kMaxGuidance);
    }
  }
  if (request.has_scheduler() && !v1::Scheduler_IsValid(request.scheduler())) {
    out.Add("SCHEDULER", "scheduler", static_cast<int>(request.scheduler()),
            " is unknown; legal are SCHEDULER_DDIM and SCHEDULER_DPM");
  }
  if (request.has_max_sequence_length() && request.max_sequence_length() < 1) {
    out.Add("SEQUENCE_LENGTH", "max_sequence_length", request.max_sequence_length(),
            " is not positive; the nearest legal value is 1");
  }
  if (!v1::OutputType_IsValid(request.output_type())) {
    out.Add("OUTPUT_TYPE", "output_type", static_cast<int>(request.output_type()),
            " is unknown; legal are VIDEO, FRAMES and LATENT");
  }
}

void CheckDeadline(const google::protobuf::Duration& deadline, Violations& out) {
  const int64_t seconds = deadline.seconds();
  const int32_t nanos = deadline.nanos();
  const bool positive = seconds >= 0 && nanos >= 0 && (seconds > 0 || nanos > 0);
  if (!positive || nanos > 999'999'999) {
    out.Add("DEADLINE", "deadline", seconds, " s and ", nanos,
            " ns is not positive; legal is more than 0 s, up to ", kMaxDeadlineSeconds, " s");
  } else if (seconds > kMaxDeadlineSeconds || (seconds == kMaxDeadlineSeconds && nanos > 0)) {
    out.Add("DEADLINE", "deadline", seconds, " s is more than 7 days; the nearest legal value is ",
            kMaxDeadlineSeconds, " s");
  }
}

void CheckLabels(const v1::GenerateRequest& request, Violations& out) {
  if (request.labels_size() > kMaxLabels) {
    out.Add("LABELS", "labels", "has ", request.labels_size(), " entries; at most ", kMaxLabels,
            " are legal");
    return;
  }
  for (const auto& [key, value] : request.labels()) {
    if (key.empty() || key.size() > kMaxLabelKeyBytes) {
      out.Add("LABELS", "labels", "has a key of ", key.size(), " bytes; legal are 1 to ",
              kMaxLabelKeyBytes);
    }
    if (value.size() > kMaxLabelValueBytes) {
      out.Add("LABELS", "labels", "has a value of ", value.size(), " bytes; at most ",
              kMaxLabelValueBytes, " are legal");
    }
    if (FirstBadByte(key) != std::string_view::npos ||
        FirstBadByte(value) != std::string_view::npos) {
      out.Add("LABELS", "labels", "has an entry that is not valid UTF-8");
    }
  }
}

void CheckNames(const v1::GenerateRequest& request, Violations& out) {
  const auto check = [&out](std::string_view field, const std::string& text, size_t limit,
                            std::string_view reason) {
    if (text.size() > limit) {
      out.Add(reason, field, "has ", text.size(), " bytes; at most ", limit, " are legal");
    } else if (FirstBadByte(text) != std::string_view::npos) {
      out.Add(reason, field, "is not valid UTF-8");
    }
  };
  check("request_id", request.request_id(), kMaxRequestIdBytes, "REQUEST_ID");
  check("model", request.model(), kMaxModelNameBytes, "MODEL");
}

void CheckWithoutModel(const v1::GenerateRequest& request, Violations& out) {
  if (request.prompt().empty()) {
    out.Add("PROMPT", "prompt", "is empty; legal are 1 to ", kMaxPromptBytes, " bytes");
  }
  CheckText("prompt", request.prompt(), kMaxPromptBytes, out);
  CheckText("negative_prompt", request.negative_prompt(), kMaxPromptBytes, out);
  CheckImage(request.image(), out);
  CheckSampling(request, out);
  if (request.has_deadline()) CheckDeadline(request.deadline(), out);
  if (request.has_priority()) {
    CheckRange("priority", request.priority(), 0, kMaxPriority, "PRIORITY", out);
  }
  CheckLabels(request, out);
  CheckNames(request, out);
}

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

void CheckSize(const v1::GenerateRequest& resolved, const v1::Model& model, Violations& out) {
  const v1::ModelLimits& limits = model.limits();
  CheckMaxSide("height", resolved.height(), limits.max_height(), out);
  CheckMaxSide("width", resolved.width(), limits.max_width(), out);
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
    CheckSize(resolved, model, out);
    if (!out.Has("max_sequence_length")) {
      CheckRange("max_sequence_length", resolved.max_sequence_length(), 1, limits.max_text_tokens(),
                 "SEQUENCE_LENGTH", out);
    }
  }
  if (!out.Has("steps")) {
    CheckRange("steps", resolved.steps(), 1, limits.max_steps(), "STEPS", out);
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

bool IsUlid(std::string_view id) {
  constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  constexpr size_t kUlidCharacters = 26;
  return id.size() == kUlidCharacters && id[0] <= '7' &&  // 128 bits, 5 a character
         id.find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace

absl::Status ValidateRequest(const v1::GenerateRequest& request) {
  Violations violations;
  CheckWithoutModel(request, violations);
  return violations.ToStatus();
}

absl::StatusOr<v1::GenerateRequest> ResolveRequest(const v1::GenerateRequest& request,
                                                   const v1::Model& model, uint32_t random_seed) {
  Violations violations;
  CheckWithoutModel(request, violations);
  v1::GenerateRequest resolved = WithDefaults(request, model, random_seed);
  CheckWithModel(resolved, model, violations);
  const absl::Status status = violations.ToStatus();
  if (!status.ok()) return status;
  return resolved;
}

absl::StatusOr<std::string> NormalizeJobName(const std::string& name) {
  constexpr std::string_view kPrefix = "jobs/";
  std::string_view id = name;
  if (id.starts_with(kPrefix)) id.remove_prefix(kPrefix.size());
  if (IsUlid(id)) return std::string(kPrefix) + std::string(id);
  const std::string shown = FirstBadByte(name) == std::string_view::npos ? name.substr(0, 64) : "";
  return MakeInvalidArgument(
      "JOB_NAME", {{"name", absl::StrCat("name '", shown,
                                         "' is no job; legal is jobs/ and 26 lower-case letters "
                                         "and digits")}});
}

}  // namespace cogwheel
