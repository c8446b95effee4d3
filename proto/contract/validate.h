#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "cogwheel/v1/video_service.pb.h"

// Every limit of a request, in one place (a picture's: image_header.h), for client and server.
// Pure.
namespace cogwheel {

inline constexpr int64_t kMaxPromptBytes = 16 * 1024;
inline constexpr int64_t kMaxDeadlineSeconds = 7 * 24 * 3600;
inline constexpr int kMaxReceiveBytes = 17 * 1024 * 1024;
inline constexpr int kMaxChunkBytes = 256 * 1024;
inline constexpr int64_t kMaxInputBytes = 64 * 1024 * 1024;

// Checks what needs no model: UTF-8 and sizes of texts, ranges that hold for every model, labels,
// the image's header (image_header.h).
absl::Status ValidateRequest(const v1::GenerateRequest& request);

// Checks against the model and returns the request with every default filled in; `random_seed` is
// used when the request has none. Includes ValidateRequest. All violations are reported together.
absl::StatusOr<v1::GenerateRequest> ResolveRequest(const v1::GenerateRequest& request,
                                                   const v1::Model& model, uint32_t random_seed);

// "jobs/<id>" from either form; INVALID_ARGUMENT for anything that cannot be a job name.
absl::StatusOr<std::string> NormalizeJobName(const std::string& name);

// An input's name, inputs/<sha256>, and back; none for what cannot be one.
std::string InputName(const std::string& sha256);
std::optional<std::string> DigestOfInput(std::string_view name);

}  // namespace cogwheel
