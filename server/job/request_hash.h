#pragma once

#include <string>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// SHA-256 (lower-case hex) of a request as sent: every set field by name, in the order of field
// numbers, map entries sorted. Does not depend on how protobuf serialises.
std::string RequestHash(const v1::GenerateRequest& request);

}  // namespace cogwheel
