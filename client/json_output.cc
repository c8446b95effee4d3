#include "client/json_output.h"

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

namespace cogwheel {

std::string JsonLine(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  // Fails only for text that is no UTF-8, which no server sends.
  return status.ok() ? text : "{}";
}

std::string JsonLineWithoutPayload(const v1::JobEvent& event) {
  if (!event.has_preview() && !event.has_chunk()) return JsonLine(event);
  auto json = nlohmann::ordered_json::parse(JsonLine(event));
  // Printed empty they would say that there was nothing.
  if (event.has_preview()) json["preview"].erase("jpeg");
  if (event.has_chunk()) json["chunk"].erase("data");
  return json.dump();
}

}  // namespace cogwheel
