#pragma once

#include <absl/status/statusor.h>

#include "client/arguments.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// The request as it is sent: the flags that were given and the image file's bytes. Checked by
// ValidateRequest; the model's own limits are the server's to check. Errors are in one line; file
// errors are FAILED_PRECONDITION.
absl::StatusOr<v1::GenerateRequest> BuildRequest(const RequestFlags& flags);

}  // namespace cogwheel
