#pragma once

#include <string>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// SHA-256 (lower-case hex) of a request as sent: its CanonicalText and then its labels, sorted.
// Does not depend on how protobuf serialises, and stays the same from release to release.
std::string RequestHash(const v1::GenerateRequest& request);

// Every set field by name, in the order of field numbers, but for GenerateRequest.labels; of a
// repeated one every element in turn, of a map every entry, sorted. No two messages of a type have
// the same.
std::string CanonicalText(const google::protobuf::Message& message);

}  // namespace cogwheel
