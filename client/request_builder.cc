#include "client/request_builder.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <utility>

#include <absl/strings/str_cat.h>

#include "proto/contract/image_header.h"
#include "proto/contract/validate.h"

namespace cogwheel {
namespace {

constexpr double kLongestDeadlineSeconds = 7 * 24 * 3600;

absl::StatusOr<std::string> ReadImage(const std::string& file) {
  namespace fs = std::filesystem;
  const auto refused = [&](const std::string& why) {
    return absl::FailedPreconditionError(absl::StrCat("image ", file, ": ", why));
  };
  std::error_code error;
  if (!fs::exists(file, error)) return refused("no such file");
  if (!fs::is_regular_file(file, error)) return refused("is not a regular file");
  const uintmax_t size = fs::file_size(file, error);
  if (error) return refused(error.message());
  if (size == 0) return refused("is empty; legal is a PNG, JPEG or WebP file");
  if (size > kMaxImageBytes) {
    return refused(
        absl::StrCat("has ", size, " bytes; the nearest legal size is ", kMaxImageBytes));
  }
  std::string bytes(size, '\0');
  std::ifstream in(file, std::ios::binary);
  if (!in.read(bytes.data(), static_cast<std::streamsize>(size))) {
    return refused(absl::StrCat("cannot be read: ", std::strerror(errno)));
  }
  return bytes;
}

absl::Status SetDeadline(double seconds, v1::GenerateRequest& request) {
  if (!(seconds > 0) || seconds > kLongestDeadlineSeconds) {
    return absl::InvalidArgumentError(
        absl::StrCat("deadline ", seconds,
                     seconds > 0 ? " is too long; the nearest legal value is 604800 seconds"
                                 : " is not above 0; legal is up to 604800 seconds"));
  }
  const double whole = std::floor(seconds);
  request.mutable_deadline()->set_seconds(static_cast<int64_t>(whole));
  request.mutable_deadline()->set_nanos(static_cast<int32_t>((seconds - whole) * 1e9));
  return absl::OkStatus();
}

void SetNumbers(const RequestFlags& flags, v1::GenerateRequest& request) {
  if (flags.frames) request.set_frames(*flags.frames);
  if (flags.height) request.set_height(*flags.height);
  if (flags.width) request.set_width(*flags.width);
  if (flags.fps) request.set_fps(*flags.fps);
  if (flags.steps) request.set_steps(*flags.steps);
  if (flags.guidance_scale) request.set_guidance_scale(*flags.guidance_scale);
  if (flags.scheduler) request.set_scheduler(*flags.scheduler);
  if (flags.max_sequence_length) request.set_max_sequence_length(*flags.max_sequence_length);
  if (flags.priority) request.set_priority(*flags.priority);
  if (flags.dynamic_cfg) request.set_dynamic_cfg(true);
  if (flags.vae_tiling) request.set_vae_tiling(true);
  if (flags.seed) request.set_seed(*flags.seed);
}

}  // namespace

absl::StatusOr<v1::GenerateRequest> BuildRequest(const RequestFlags& flags) {
  v1::GenerateRequest request;
  request.set_model(flags.model);
  request.set_prompt(flags.prompt);
  request.set_negative_prompt(flags.negative_prompt);
  request.set_output_type(flags.output_type);
  request.set_request_id(flags.request_id);
  request.mutable_labels()->insert(flags.labels.begin(), flags.labels.end());
  SetNumbers(flags, request);
  if (flags.deadline_seconds.has_value()) {
    const absl::Status deadline = SetDeadline(*flags.deadline_seconds, request);
    if (!deadline.ok()) return deadline;
  }
  if (!flags.image_file.empty()) {
    absl::StatusOr<std::string> image = ReadImage(flags.image_file);
    if (!image.ok()) return image.status();
    request.set_image(*std::move(image));
  }
  const absl::Status valid = ValidateRequest(request);
  if (!valid.ok()) return valid;
  return request;
}

}  // namespace cogwheel
