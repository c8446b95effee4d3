#include "client/json_output.h"

#include <google/protobuf/util/json_util.h>
#include <nlohmann/json.hpp>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {
namespace {

using Json = nlohmann::ordered_json;

std::string Print(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto status = google::protobuf::util::MessageToJsonString(message, &text, options);
  // Fails only for text that is no UTF-8, which no server sends.
  return status.ok() ? text : "{}";
}

// `bytes` is the payload taken out of `event`, printed as its size under event.part.field.
std::string WithByteCount(const v1::JobEvent& event, const char* part, const char* field,
                          size_t bytes) {
  Json json = Json::parse(Print(event));
  json[part][field] = bytes;
  return json.dump();
}

}  // namespace

std::string JsonLine(const google::protobuf::Message& message) {
  const auto* event = dynamic_cast<const v1::JobEvent*>(&message);
  if (event == nullptr || !(event->has_preview() || event->has_chunk())) return Print(message);
  v1::JobEvent stripped;
  stripped.set_job(event->job());
  stripped.set_sequence(event->sequence());
  stripped.set_attempt(event->attempt());
  if (event->has_time()) *stripped.mutable_time() = event->time();
  if (event->has_preview()) {
    stripped.mutable_preview()->set_step(event->preview().step());
    stripped.mutable_preview()->set_steps(event->preview().steps());
    return WithByteCount(stripped, "preview", "jpeg", event->preview().jpeg().size());
  }
  v1::Chunk& chunk = *stripped.mutable_chunk();
  chunk.set_offset(event->chunk().offset());
  chunk.set_last(event->chunk().last());
  chunk.set_sha256(event->chunk().sha256());
  chunk.set_size_bytes(event->chunk().size_bytes());
  chunk.set_media_type(event->chunk().media_type());
  return WithByteCount(stripped, "chunk", "data", event->chunk().data().size());
}

}  // namespace cogwheel
