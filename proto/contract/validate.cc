#include "proto/contract/validate.h"

#include <cmath>
#include <cstdlib>
#include <string_view>
#include <vector>

#include <absl/strings/str_cat.h>

#include "base/utf8.h"
#include "proto/contract/image_header.h"
#include "proto/contract/nearest_size.h"
#include "proto/contract/status.h"
#include "proto/contract/violations.h"

namespace cogwheel {
namespace {

constexpr int kMaxFps = 120, kMaxSteps = 200, kMaxPriority = 9;
constexpr double kMaxGuidance = 50;
constexpr int kMaxLabels = 16;
constexpr size_t kMaxLabelKeyBytes = 63, kMaxLabelValueBytes = 255;
constexpr size_t kMaxRequestIdBytes = 128, kMaxModelNameBytes = 128;

void CheckText(std::string_view field, const std::string& text, int64_t limit, Violations& out) {
  if (static_cast<int64_t>(text.size()) > limit) {
    out.Add("PROMPT", field, "has ", text.size(), " bytes; at most ", limit, " are legal");
  }
  const size_t bad = FirstBadUtf8Byte(text);
  if (bad != std::string_view::npos) {
    out.Add("PROMPT", field, "is not valid UTF-8 at byte ", bad);
  }
}

// Of what only a model can say in full: CheckWithModel names the nearest legal value.
constexpr char kWithinTheModels[] = ", within the model's limits";

void CheckSide(std::string_view field, int64_t value, Violations& out) {
  if (value >= kSizeMultiple && value % kSizeMultiple == 0) return;
  out.Add("SIZE_MULTIPLE", field, value, " is not legal; legal is a positive multiple of ",
          kSizeMultiple, kWithinTheModels);
}

void CheckPositive(std::string_view reason, std::string_view field, int64_t value,
                   Violations& out) {
  if (value >= 1) return;
  out.Add(reason, field, value, " is not positive; legal is 1 or more", kWithinTheModels);
}

void CheckImage(const std::string& image, Violations& out) {
  if (image.empty()) return;
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(image);
  if (!header.ok()) out.Add("IMAGE", "image", header.status().message());
}

void CheckImageInput(const v1::GenerateRequest& request, Violations& out) {
  if (request.image_input().empty()) return;
  if (!request.image().empty()) {
    out.Add("IMAGE", "image_input", "is given beside an image; legal is one of them");
  }
  if (!DigestOfInput(request.image_input()).has_value()) {
    out.Add("IMAGE", "image_input",
            "is no input's name; legal is inputs/ and 64 lower-case hexadecimal digits");
  }
}

void CheckSampling(const v1::GenerateRequest& request, Violations& out) {
  if (request.has_frames()) CheckPositive("FRAME_COUNT", "frames", request.frames(), out);
  if (request.has_height()) CheckSide("height", request.height(), out);
  if (request.has_width()) CheckSide("width", request.width(), out);
  if (request.has_fps()) out.CheckRange("FPS", "fps", request.fps(), 1, kMaxFps);
  if (request.has_steps() && (request.steps() < 1 || request.steps() > kMaxSteps)) {
    out.Add("STEPS", "steps", request.steps(), " is not legal; legal is 1 to ", kMaxSteps,
            kWithinTheModels);
  }
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
  if (request.has_max_sequence_length()) {
    CheckPositive("SEQUENCE_LENGTH", "max_sequence_length", request.max_sequence_length(), out);
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
    if (FirstBadUtf8Byte(key) != std::string_view::npos ||
        FirstBadUtf8Byte(value) != std::string_view::npos) {
      out.Add("LABELS", "labels", "has an entry that is not valid UTF-8");
    }
  }
}

void CheckNames(const v1::GenerateRequest& request, Violations& out) {
  const auto check = [&out](std::string_view field, const std::string& text, size_t limit,
                            std::string_view reason) {
    if (text.size() > limit) {
      out.Add(reason, field, "has ", text.size(), " bytes; at most ", limit, " are legal");
    } else if (FirstBadUtf8Byte(text) != std::string_view::npos) {
      out.Add(reason, field, "is not valid UTF-8");
    }
  };
  check("request_id", request.request_id(), kMaxRequestIdBytes, "REQUEST_ID");
  check("model", request.model(), kMaxModelNameBytes, "MODEL");
}

constexpr char kInputs[] = "inputs/";

bool IsUlid(std::string_view id) {
  constexpr std::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  constexpr size_t kUlidCharacters = 26;
  return id.size() == kUlidCharacters && id[0] <= '7' &&  // 128 bits, 5 a character
         id.find_first_not_of(kAlphabet) == std::string_view::npos;
}

}  // namespace

void CheckWithoutModel(const v1::GenerateRequest& request, Violations& out) {
  if (request.prompt().empty()) {
    out.Add("PROMPT", "prompt", "is empty; legal are 1 to ", kMaxPromptBytes, " bytes");
  }
  CheckText("prompt", request.prompt(), kMaxPromptBytes, out);
  CheckText("negative_prompt", request.negative_prompt(), kMaxPromptBytes, out);
  CheckImage(request.image(), out);
  CheckImageInput(request, out);
  CheckSampling(request, out);
  if (request.has_deadline()) CheckDeadline(request.deadline(), out);
  if (request.has_priority()) {
    out.CheckRange("PRIORITY", "priority", request.priority(), 0, kMaxPriority);
  }
  CheckLabels(request, out);
  CheckNames(request, out);
}

absl::Status ValidateRequest(const v1::GenerateRequest& request) {
  Violations violations;
  CheckWithoutModel(request, violations);
  return violations.ToStatus();
}

absl::StatusOr<std::string> NormalizeJobName(const std::string& name) {
  constexpr std::string_view kPrefix = "jobs/";
  std::string_view id = name;
  if (id.starts_with(kPrefix)) id.remove_prefix(kPrefix.size());
  if (IsUlid(id)) return std::string(kPrefix) + std::string(id);
  constexpr size_t kMostShown = 64;  // bytes
  const std::string shown(
      FirstBadUtf8Byte(name) == std::string_view::npos ? ClipUtf8(name, kMostShown) : "");
  return MakeInvalidArgument(
      "JOB_NAME", {{"name", absl::StrCat("name '", shown,
                                         "' is no job; legal is jobs/ and 26 lower-case letters "
                                         "and digits")}});
}

std::string InputName(const std::string& sha256) { return absl::StrCat(kInputs, sha256); }

std::optional<std::string> DigestOfInput(std::string_view name) {
  constexpr size_t kDigestDigits = 64;
  if (!name.starts_with(kInputs)) return std::nullopt;
  name.remove_prefix(sizeof(kInputs) - 1);
  const bool digest = name.size() == kDigestDigits &&
                      name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return digest ? std::optional(std::string(name)) : std::nullopt;
}

}  // namespace cogwheel
