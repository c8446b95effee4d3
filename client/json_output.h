#pragma once

#include <string>

#include <google/protobuf/message.h>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// The message's protobuf JSON form in one line: original field names, all primitive fields, 64-bit
// integers as strings.
std::string JsonLine(const google::protobuf::Message& message);
// The same of an event, without its payloads `preview.jpeg` and `chunk.data`.
std::string JsonLineWithoutPayload(const v1::JobEvent& event);

}  // namespace cogwheel
