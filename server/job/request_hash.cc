#include "server/job/request_hash.h"

#include <algorithm>
#include <utility>
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

// A field's value, or the element `index` of a repeated one.
struct Value {
  const Message& message;
  const FieldDescriptor* field;
  int index;

  template <typename T>
  T Get(T (Reflection::*one)(const Message&, const FieldDescriptor*) const,
        T (Reflection::*nth)(const Message&, const FieldDescriptor*, int) const) const {
    const Reflection& reflection = *message.GetReflection();
    return field->is_repeated() ? (reflection.*nth)(message, field, index)
                                : (reflection.*one)(message, field);
  }
  const Message& GetMessage() const {
    const Reflection& reflection = *message.GetReflection();
    return field->is_repeated() ? reflection.GetRepeatedMessage(message, field, index)
                                : reflection.GetMessage(message, field);
  }
};

std::string TextOf(const Value& value) {
  switch (value.field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return absl::StrCat(value.Get(&Reflection::GetInt32, &Reflection::GetRepeatedInt32));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(value.Get(&Reflection::GetInt64, &Reflection::GetRepeatedInt64));
    case FieldDescriptor::CPPTYPE_UINT32:
      return absl::StrCat(value.Get(&Reflection::GetUInt32, &Reflection::GetRepeatedUInt32));
    case FieldDescriptor::CPPTYPE_UINT64:
      return absl::StrCat(value.Get(&Reflection::GetUInt64, &Reflection::GetRepeatedUInt64));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return absl::StrFormat("%.17g",
                             value.Get(&Reflection::GetDouble, &Reflection::GetRepeatedDouble));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return absl::StrFormat("%.9g",
                             value.Get(&Reflection::GetFloat, &Reflection::GetRepeatedFloat));
    case FieldDescriptor::CPPTYPE_BOOL:
      return value.Get(&Reflection::GetBool, &Reflection::GetRepeatedBool) ? "true" : "false";
    case FieldDescriptor::CPPTYPE_ENUM:
      return absl::StrCat(value.Get(&Reflection::GetEnumValue, &Reflection::GetRepeatedEnumValue));
    case FieldDescriptor::CPPTYPE_STRING:
      return value.Get(&Reflection::GetString, &Reflection::GetRepeatedString);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CanonicalText(value.GetMessage());
  }
  return "";  // no such type
}

}  // namespace

std::string CanonicalText(const Message& message) {
  const FieldDescriptor* labels =
      v1::GenerateRequest::descriptor()->FindFieldByNumber(v1::GenerateRequest::kLabelsFieldNumber);
  const Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);  // in the order of field numbers
  std::string text;
  for (const FieldDescriptor* field : fields) {
    if (field == labels) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    std::vector<std::string> values;
    for (int index = 0; index < count; ++index) values.push_back(TextOf({message, field, index}));
    if (field->is_map()) std::sort(values.begin(), values.end());
    for (const std::string& value : values) Put(field->name(), value, text);
  }
  return text;
}

// Labels stand behind all else, in a form of their own: so it was in the first release.
std::string RequestHash(const v1::GenerateRequest& request) {
  std::string text = CanonicalText(request);
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
