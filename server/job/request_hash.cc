#include "server/job/request_hash.h"

#include <algorithm>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>

#include "base/sha256.h"

namespace cogwheel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// Lengths in front keep neighbours apart: no two requests give the same bytes.
void Put(const std::string& name, const std::string& value, std::string& out) {
  absl::StrAppend(&out, name, ":", value.size(), ":", value, "\n");
}

std::string ScalarText(const Message& message, const Reflection& reflection,
                       const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(reflection.GetInt32(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection.GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(reflection.GetUInt64(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrFormat("%.17g", reflection.GetDouble(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(message, field) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(reflection.GetEnumValue(message, field));
    default:
      return reflection.GetString(message, field);
  }
}

void PutMessage(const Message& message, std::string& out) {
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);  // in the order of field numbers
  for (const FieldDescriptor* field : fields) {
    if (field->is_repeated()) continue;  // the one map, below
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      std::string nested;
      PutMessage(reflection.GetMessage(message, field), nested);
      Put(field->name(), nested, out);
    } else {
      Put(field->name(), ScalarText(message, reflection, field), out);
    }
  }
}

}  // namespace

std::string RequestHash(const v1::GenerateRequest& request) {
  std::string text;
  PutMessage(request, text);
  std::vector<std::pair<std::string, std::string>> labels(request.labels().begin(),
                                                          request.labels().end());
  std::sort(labels.begin(), labels.end());
  for (const auto& [key, value] : labels) {
    Put("label", key, text);
    Put("value", value, text);
  }
  return Sha256Hex(text);
}

}  // namespace cogwheel
