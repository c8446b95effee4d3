#include "server/api/raw_request.h"

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>
#include <grpcpp/support/proto_buffer_reader.h>
#include <grpcpp/support/slice.h>

#include "base/utf8.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::UnknownField;
using google::protobuf::UnknownFieldSet;

constexpr int kMaxDepth = 4;

std::string Join(const grpc::ByteBuffer& bytes) {
  std::vector<grpc::Slice> slices;
  std::string joined;
  if (!bytes.Dump(&slices).ok()) return joined;
  joined.reserve(bytes.Length());
  for (const grpc::Slice& slice : slices) {
    joined.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return joined;
}

// Adds the text fields that are not UTF-8, which is why protobuf refused the whole message.
void FindBadText(const std::string& bytes, const Descriptor& type, int depth,
                 std::vector<FieldViolation>& out) {
  UnknownFieldSet fields;
  if (depth > kMaxDepth || !fields.ParseFromString(bytes)) return;
  for (int i = 0; i < fields.field_count(); ++i) {
    const UnknownField& field = fields.field(i);
    const FieldDescriptor* known = type.FindFieldByNumber(field.number());
    if (known == nullptr || field.type() != UnknownField::TYPE_LENGTH_DELIMITED) continue;
    if (known->message_type() != nullptr) {
      FindBadText(field.length_delimited(), *known->message_type(), depth + 1, out);
    } else if (known->type() == FieldDescriptor::TYPE_STRING) {
      const size_t bad = FirstBadUtf8Byte(field.length_delimited());
      if (bad == std::string::npos) continue;
      out.push_back(
          {known->name(), absl::StrCat(known->name(), " is not valid UTF-8 at byte ", bad)});
    }
  }
}

}  // namespace

absl::Status ParseRequest(grpc::ByteBuffer bytes, google::protobuf::Message& request) {
  {
    grpc::ProtoBufferReader reader(&bytes);
    if (reader.status().ok() && request.ParseFromZeroCopyStream(&reader)) return absl::OkStatus();
  }
  const std::string text = Join(bytes);
  std::vector<FieldViolation> violations;
  FindBadText(text, *request.GetDescriptor(), /*depth=*/0, violations);
  if (violations.empty()) {
    violations.push_back(
        {"", absl::StrCat("the request is no well-formed ", request.GetDescriptor()->full_name())});
    return MakeInvalidArgument("MALFORMED", violations);
  }
  const bool prompt =
      violations.front().field == "prompt" || violations.front().field == "negative_prompt";
  return MakeInvalidArgument(prompt ? "PROMPT" : "UTF8", violations);
}

grpc::ByteBuffer TakeRequest(const grpc::ByteBuffer* request) {
  grpc::ByteBuffer taken;
  // It is const for handlers of messages; nobody but this one reads it.
  const_cast<grpc::ByteBuffer*>(request)->Swap(&taken);
  return taken;
}

grpc::ByteBuffer ToBytes(std::string message) {
  auto owned = std::make_unique<std::string>(std::move(message));
  std::string& text = *owned;
  const grpc::Slice slice(
      text.data(), text.size(), [](void* owner) { delete static_cast<std::string*>(owner); },
      owned.release());
  return grpc::ByteBuffer(&slice, 1);
}

}  // namespace cogwheel
