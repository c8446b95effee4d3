#include "base/setting_help.h"

#include <algorithm>
#include <cctype>
#include <cstdint>
#include <limits>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <absl/strings/strip.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/descriptor.pb.h>

namespace cogwheel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// "Where ranks come. [HOST:PORT; default ...]" in its parts.
SettingComment Parse(const std::string& comment, const std::string& group) {
  SettingComment parsed{.group = group};
  std::string text;
  for (const absl::string_view line : absl::StrSplit(comment, '\n')) {
    const absl::string_view stripped = absl::StripAsciiWhitespace(line);
    if (stripped.substr(0, 3) == "== ") {
      parsed.group = std::string(stripped.substr(3));
    } else if (!stripped.empty()) {
      absl::StrAppend(&text, text.empty() ? "" : " ", stripped);
    }
  }
  const size_t open = text.rfind('[');
  if (open == std::string::npos || text.back() != ']') {
    parsed.what = text;
    return parsed;
  }
  parsed.what = std::string(absl::StripTrailingAsciiWhitespace(text.substr(0, open)));
  const std::string tail = text.substr(open + 1, text.size() - open - 2);
  const size_t semicolon = tail.find("; ");
  parsed.value = tail.substr(0, semicolon);
  if (semicolon != std::string::npos) parsed.fallback = tail.substr(semicolon + 2);
  return parsed;
}

// "1073741824 (1 GiB)", "86400 (24 h)".
std::string Number(int64_t value, const std::string& unit) {
  constexpr int64_t kGib = int64_t{1} << 30, kHour = 3600;
  const std::string digits = std::to_string(value);
  if (unit == "BYTES" && value >= kGib && value % kGib == 0) {
    return absl::StrCat(digits, " (", value / kGib, " GiB)");
  }
  if (unit == "SECONDS" && value >= kHour && value % kHour == 0) {
    return absl::StrCat(digits, " (", value / kHour, " h)");
  }
  return digits;
}

std::string DefaultOf(const Message& defaults, const FieldDescriptor& field,
                      const SettingComment& comment) {
  const google::protobuf::Reflection& reflection = *defaults.GetReflection();
  if (comment.fallback == "required") return "Required.";
  if (!comment.fallback.empty()) return absl::StrCat("D", comment.fallback.substr(1), ".");
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection.GetBool(defaults, &field) ? "Default true." : "Default false.";
    case FieldDescriptor::CPPTYPE_INT32:
      if (!reflection.HasField(defaults, &field)) break;
      return absl::StrCat("Default ", Number(reflection.GetInt32(defaults, &field), comment.value),
                          ".");
    case FieldDescriptor::CPPTYPE_INT64:
      if (!reflection.HasField(defaults, &field)) break;
      return absl::StrCat("Default ", Number(reflection.GetInt64(defaults, &field), comment.value),
                          ".");
    case FieldDescriptor::CPPTYPE_STRING:
      if (!reflection.HasField(defaults, &field)) break;
      return absl::StrCat("Default ", reflection.GetString(defaults, &field), ".");
    default:
      break;
  }
  return "No default.";
}

std::string RangeOf(const ProgramInfo& program, const std::string& field) {
  for (const SettingRange& range : program.ranges) {
    if (range.field == field) return absl::StrCat(RangeText(range), ". ");
  }
  return "";
}

HelpSection OwnFlags() {
  return {.title = "This program",
          .entries = {{"--config FILE",
                       "Settings as JSON, each under its name, such as \"data_dir\". No default. "
                       "COGWHEEL_CONFIG."},
                      {"--print-config",
                       "Print the settings that flags, environment and file give, and "
                       "leave. Off by default."},
                      {"-v, --version",
                       "Print the versions of everything inside and leave. Off by default. "
                       "Also: version."},
                      {"-h, --help", "Print this text and leave. Off by default. Also: help."}}};
}

}  // namespace

std::string FlagName(std::string_view field) {
  std::string flag = absl::StrCat("--", std::string(field));
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

std::string EnvironmentName(std::string_view field) {
  std::string name = absl::StrCat("COGWHEEL_", std::string(field));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return name;
}

std::vector<SettingComment> ReadSettingComments(std::string_view file_set,
                                                const google::protobuf::Descriptor& config) {
  google::protobuf::FileDescriptorSet files;
  google::protobuf::DescriptorPool pool;
  if (!files.ParseFromArray(file_set.data(), static_cast<int>(file_set.size()))) return {};
  for (const google::protobuf::FileDescriptorProto& file : files.file()) pool.BuildFile(file);
  const auto* commented = pool.FindMessageTypeByName(config.full_name());
  std::vector<SettingComment> comments;
  std::string group = "Settings";
  for (int i = 0; i < config.field_count(); ++i) {
    google::protobuf::SourceLocation place;
    if (commented != nullptr) commented->field(i)->GetSourceLocation(&place);
    comments.push_back(Parse(place.leading_comments + place.trailing_comments, group));
    group = comments.back().group;
  }
  return comments;
}

HelpPage SettingsPage(const ProgramInfo& program, const Message& defaults) {
  const google::protobuf::Descriptor& type = *defaults.GetDescriptor();
  const std::vector<SettingComment> comments = ReadSettingComments(program.comments, type);
  HelpPage page{.usage = program.name + " [FLAGS]",
                .paragraphs = {program.summary,
                               "Flags win over the environment variable that stands behind each, "
                               "that over the file of --config."}};
  page.sections.push_back({.title = "Example", .commands = program.examples});
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    const SettingComment& comment = comments[i];
    const bool is_switch = field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    SectionOf(page, comment.group)
        .entries.push_back(
            {absl::StrCat(FlagName(field.name()), " ", is_switch ? "[true|false]" : comment.value),
             absl::StrCat(comment.what, " ", RangeOf(program, field.name()),
                          DefaultOf(defaults, field, comment), " ", EnvironmentName(field.name()),
                          ".")});
  }
  page.sections.push_back(OwnFlags());
  page.sections.push_back({.title = "Exit codes", .entries = program.exit_codes});
  return page;
}

}  // namespace cogwheel
