#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <absl/status/statusor.h>
#include <google/protobuf/timestamp.pb.h>

namespace cogwheel {

// A moment as people type it: 2026-11-29T14:00:00Z (RFC 3339), 2026-11-29 (UTC), or 30d or 12h, so
// long before now. INVALID_ARGUMENT names the field and what is legal. Pure.
absl::StatusOr<google::protobuf::Timestamp> ParseTime(std::string_view field,
                                                      const std::string& text, int64_t now_seconds);

}  // namespace cogwheel
