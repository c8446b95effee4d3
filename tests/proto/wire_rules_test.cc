// Rules of the .proto files that the compiler does not know.
#include <cctype>
#include <functional>
#include <set>
#include <string>

#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>
#include <gtest/gtest.h>

#include "cogwheel/config/v1/config.pb.h"
#include "cogwheel/internal/v1/rank_control.pb.h"
#include "cogwheel/v1/operate_service.pb.h"
#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumDescriptor;
using google::protobuf::FileDescriptor;

const FileDescriptor* const kFiles[] = {v1::GenerateRequest::descriptor()->file(),
                                        v1::PauseRequest::descriptor()->file(),
                                        internal::v1::RankMessage::descriptor()->file(),
                                        config::v1::ServerConfig::descriptor()->file()};

// "OUTPUT_TYPE_" of OutputType.
std::string Prefix(const std::string& name) {
  std::string prefix;
  for (const char c : name) {
    if (std::isupper(c) && !prefix.empty()) prefix += '_';
    prefix += static_cast<char>(std::toupper(c));
  }
  return prefix + "_";
}

void ForEnums(const Descriptor& message, const std::function<void(const EnumDescriptor&)>& see) {
  for (int i = 0; i < message.enum_type_count(); ++i) see(*message.enum_type(i));
  for (int i = 0; i < message.nested_type_count(); ++i) ForEnums(*message.nested_type(i), see);
}

void ForAllEnums(const std::function<void(const EnumDescriptor&)>& see) {
  for (const FileDescriptor* file : kFiles) {
    for (int i = 0; i < file->enum_type_count(); ++i) see(*file->enum_type(i));
    for (int i = 0; i < file->message_type_count(); ++i) ForEnums(*file->message_type(i), see);
  }
}

TEST(WireRules, EnumValuesCarryTheirEnumsName) {
  // Frozen: they are in callers' JSON. None is added.
  const std::set<std::string> frozen = {"cogwheel.v1.QUEUED",      "cogwheel.v1.RUNNING",
                                        "cogwheel.v1.SUCCEEDED",   "cogwheel.v1.FAILED",
                                        "cogwheel.v1.CANCELLED",   "cogwheel.v1.EXPIRED",
                                        "cogwheel.v1.RANK_JOINED", "cogwheel.v1.RANK_READY",
                                        "cogwheel.v1.RANK_BUSY",   "cogwheel.v1.RANK_SUSPECT"};
  std::set<std::string> bare;
  int enums = 0;
  ForAllEnums([&](const EnumDescriptor& type) {
    ++enums;
    const std::string prefix = Prefix(type.name());
    for (int i = 0; i < type.value_count(); ++i) {
      if (!type.value(i)->name().starts_with(prefix)) bare.insert(type.value(i)->full_name());
    }
    EXPECT_EQ(prefix + "UNSPECIFIED", type.value(0)->name());
    EXPECT_EQ(0, type.value(0)->number());
  });
  EXPECT_EQ(frozen, bare);
  EXPECT_GE(enums, 9);
}

// The two APIs import nothing of each other: what both name has the same values.
TEST(WireRules, EnumsOfBothApisAreAlike) {
  const FileDescriptor* api = v1::GenerateRequest::descriptor()->file();
  const FileDescriptor* ranks = internal::v1::RankMessage::descriptor()->file();
  for (const char* name : {"Scheduler", "OutputType", "Stage"}) {
    const EnumDescriptor* outer = api->FindEnumTypeByName(name);
    const EnumDescriptor* inner = ranks->FindEnumTypeByName(name);
    ASSERT_TRUE(outer != nullptr && inner != nullptr) << name;
    ASSERT_EQ(outer->value_count(), inner->value_count()) << name;
    for (int i = 0; i < outer->value_count(); ++i) {
      EXPECT_EQ(outer->value(i)->name(), inner->value(i)->name());
      EXPECT_EQ(outer->value(i)->number(), inner->value(i)->number());
    }
  }
}

// So that a rank can answer what it does not know: NotUnderstood reads them so.
TEST(WireRules, FrontendMessagesNameTheirEpochAndJobFirst) {
  const Descriptor* message = internal::v1::FrontendMessage::descriptor();
  for (int i = 0; i < message->field_count(); ++i) {
    const Descriptor& body = *message->field(i)->message_type();
    ASSERT_NE(nullptr, body.FindFieldByName("epoch")) << body.name();
    EXPECT_EQ(1, body.FindFieldByName("epoch")->number()) << body.name();
    const auto* sequence = body.FindFieldByName("job_sequence");
    EXPECT_TRUE(sequence == nullptr || sequence->number() == 2) << body.name();
  }
}

TEST(WireRules, EachFileNamesItsGoPackage) {
  for (const FileDescriptor* file : kFiles) {
    EXPECT_TRUE(file->options().go_package().starts_with("cogwheel.dev/proto/cogwheel/"))
        << file->name();
  }
}

}  // namespace
}  // namespace cogwheel
