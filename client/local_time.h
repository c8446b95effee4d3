#pragma once

#include <cstdint>
#include <string>

#include <google/protobuf/timestamp.pb.h>

// Times as people read them, in the time zone of this process. Pure but for that.
namespace cogwheel {

// "just now", "12 s ago", "3 min ago", "5 h ago", "2 days ago".
std::string Age(const google::protobuf::Timestamp& then, int64_t now_seconds);
// An age within the hour, then "today 14:03", else "2026-11-28 14:03".
std::string When(const google::protobuf::Timestamp& then, int64_t now_seconds);
// "2026-11-29 14:03:05 +0100".
std::string FullTime(const google::protobuf::Timestamp& time);

}  // namespace cogwheel
