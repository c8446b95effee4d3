#pragma once

#include <string>

#include <google/protobuf/message.h>

// Where each field of a request goes: GenerateRequest -> JobPlan -> JobSpec -> PlanHash. A field
// that has the same name in the next is on no list here; one that is neither there nor on a list
// fails request_fields_test.cc or wire_orders_test.cc.
namespace cogwheel {

struct FieldException {
  const char* field;
  const char* why;
};

// Of GenerateRequest: what ranks are not told.
inline constexpr FieldException kNotInJobPlan[] = {
    {"model", "chooses the group; its ranks have no other"},
    {"image", "stored beside the request: has_image and the image come from the order"},
    {"image_input", "names what is stored already, in place of image"},
    {"deadline", "the frontend's clock ends the job"},
    {"priority", "the queue's"},
    {"labels", "the caller's own"},
    {"request_id", "the store's idempotency key"},
    {"detach", "the call's"},
};

// Of JobPlan: what comes from no field of that name.
inline constexpr FieldException kNotFromRequest[] = {
    {"image", "of the order, to world rank 0 alone"},
    {"has_image", "of the order"},
    {"scheduler_word", "scheduler, for protocol 1"},
    {"output_type_word", "output_type, for protocol 1"},
};

// Of JobPlan: what shapes no rank's program.
inline constexpr FieldException kNotInPlanHash[] = {
    {"image", "rank 0's alone; that there is one is hashed"},
    {"scheduler_word", "read where scheduler is not set: protocol 1"},
    {"output_type_word", "read where output_type is not set: protocol 1"},
};

template <size_t N>
bool IsException(const FieldException (&list)[N], const std::string& field) {
  for (const FieldException& each : list) {
    if (field == each.field) return true;
  }
  return false;
}

using Field = google::protobuf::FieldDescriptor;

inline void AddOne(google::protobuf::Message& message, const Field* field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case Field::CPPTYPE_MESSAGE:
      reflection.AddMessage(&message, field);
      return;
    case Field::CPPTYPE_STRING:
      return reflection.AddString(&message, field, "x");
    case Field::CPPTYPE_ENUM:
      return reflection.AddEnumValue(&message, field, 1);
    case Field::CPPTYPE_INT32:
      return reflection.AddInt32(&message, field, 1);
    case Field::CPPTYPE_INT64:
      return reflection.AddInt64(&message, field, 1);
    case Field::CPPTYPE_UINT32:
      return reflection.AddUInt32(&message, field, 1);
    case Field::CPPTYPE_UINT64:
      return reflection.AddUInt64(&message, field, 1);
    case Field::CPPTYPE_DOUBLE:
      return reflection.AddDouble(&message, field, 1);
    case Field::CPPTYPE_FLOAT:
      return reflection.AddFloat(&message, field, 1);
    case Field::CPPTYPE_BOOL:
      return reflection.AddBool(&message, field, true);
  }
}

inline void Change(google::protobuf::Message& message, const Field* field);

inline void SetAnother(google::protobuf::Message& message, const Field* field) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  switch (field->cpp_type()) {
    case Field::CPPTYPE_MESSAGE: {  // its first field
      google::protobuf::Message& nested = *reflection.MutableMessage(&message, field);
      return Change(nested, nested.GetDescriptor()->field(0));
    }
    case Field::CPPTYPE_STRING:
      return reflection.SetString(&message, field, reflection.GetString(message, field) + "x");
    case Field::CPPTYPE_ENUM: {
      const auto& values = *field->enum_type();
      const int now = reflection.GetEnumValue(message, field);
      const int last = values.value(values.value_count() - 1)->number();
      return reflection.SetEnumValue(&message, field, now == last ? last - 1 : last);
    }
    case Field::CPPTYPE_INT32:
      return reflection.SetInt32(&message, field, reflection.GetInt32(message, field) + 1);
    case Field::CPPTYPE_INT64:
      return reflection.SetInt64(&message, field, reflection.GetInt64(message, field) + 1);
    case Field::CPPTYPE_UINT32:
      return reflection.SetUInt32(&message, field, reflection.GetUInt32(message, field) + 1);
    case Field::CPPTYPE_UINT64:
      return reflection.SetUInt64(&message, field, reflection.GetUInt64(message, field) + 1);
    case Field::CPPTYPE_DOUBLE:
      return reflection.SetDouble(&message, field, reflection.GetDouble(message, field) + 1);
    case Field::CPPTYPE_FLOAT:
      return reflection.SetFloat(&message, field, reflection.GetFloat(message, field) + 1);
    case Field::CPPTYPE_BOOL:
      return reflection.SetBool(&message, field, !reflection.GetBool(message, field));
  }
}

// Gives a field another value than it has: an enum one with a name, a repeated field one element
// more.
inline void Change(google::protobuf::Message& message, const Field* field) {
  field->is_repeated() ? AddOne(message, field) : SetAnother(message, field);
}

}  // namespace cogwheel
