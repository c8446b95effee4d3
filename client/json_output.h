#pragma once

#include <string>

#include <google/protobuf/message.h>

namespace cogwheel {

// The message's protobuf JSON form in one line: original field names, all primitive fields, 64-bit
// integers as strings. In a JobEvent the payloads `preview.jpeg` and `chunk.data` are replaced by
// their byte counts.
std::string JsonLine(const google::protobuf::Message& message);

}  // namespace cogwheel
