#include "base/config.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <optional>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>

#include "base/command_line.h"
#include "base/setting_help.h"

namespace cogwheel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int64_t kMaxFileBytes = 1024 * 1024;

std::vector<const FieldDescriptor*> FieldsOf(const Message& config) {
  std::vector<const FieldDescriptor*> fields;
  for (int i = 0; i < config.GetDescriptor()->field_count(); ++i) {
    fields.push_back(config.GetDescriptor()->field(i));
  }
  return fields;
}

const char* LegalType(const FieldDescriptor& field) {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return "a whole number of 32 bits";
    case FieldDescriptor::CPPTYPE_INT64:
      return "a whole number of 64 bits";
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return "a number";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "true or false";
    default:
      return "text";
  }
}

// False when `text` is not of the field's type.
bool SetFromText(Message& config, const FieldDescriptor& field, const std::string& text) {
  const google::protobuf::Reflection& reflection = *config.GetReflection();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      reflection.SetString(&config, &field, text);
      return true;
    case FieldDescriptor::CPPTYPE_INT32: {
      int32_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return false;
      reflection.SetInt32(&config, &field, value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_INT64: {
      int64_t value = 0;
      if (!absl::SimpleAtoi(text, &value)) return false;
      reflection.SetInt64(&config, &field, value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_DOUBLE: {
      double value = 0;
      if (!absl::SimpleAtod(text, &value)) return false;
      reflection.SetDouble(&config, &field, value);
      return true;
    }
    case FieldDescriptor::CPPTYPE_BOOL: {
      bool value = false;
      if (!absl::SimpleAtob(text, &value)) return false;
      reflection.SetBool(&config, &field, value);
      return true;
    }
    default:
      return false;
  }
}

absl::Status SetOrExplain(Message& config, const FieldDescriptor& field, const std::string& origin,
                          const std::string& text) {
  if (SetFromText(config, field, text)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(origin, " '", ShownArgument(text),
                                                 "' is not legal; legal is ", LegalType(field)));
}

absl::Status MergeFile(const std::string& path, Message& config) {
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat("--config ", path, " is a folder"));
  }
  std::ifstream file(path, std::ios::binary);
  std::string text(kMaxFileBytes, '\0');
  if (!file) return absl::InvalidArgumentError(absl::StrCat("--config ", path, " cannot be read"));
  file.read(text.data(), kMaxFileBytes);
  if (file) return absl::InvalidArgumentError(absl::StrCat("--config ", path, " exceeds 1 MiB"));
  text.resize(static_cast<size_t>(file.gcount()));
  const std::unique_ptr<Message> parsed(config.New());
  const auto status = google::protobuf::util::JsonStringToMessage(text, parsed.get());
  if (!status.ok()) {
    // The first line says what, the second shows the place, the third marks it.
    const std::vector<std::string> lines =
        absl::StrSplit(std::string(status.message()), absl::MaxSplits('\n', 2));
    const bool has_place = lines.size() > 1 && !lines[1].empty();
    return absl::InvalidArgumentError(
        absl::StrCat("--config ", path, ": ", lines[0], has_place ? " Near: " + lines[1] : ""));
  }
  config.MergeFrom(*parsed);
  return absl::OkStatus();
}

absl::Status MergeEnvironment(Message& config) {
  for (const FieldDescriptor* field : FieldsOf(config)) {
    const std::string name = EnvironmentName(field->name());
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') continue;
    const absl::Status set = SetOrExplain(config, *field, name, value);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

absl::Status PrintConfig(const Message& config) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = true;
  options.preserve_proto_field_names = true;
  std::string json;
  if (!google::protobuf::util::MessageToJsonString(config, &json, options).ok()) {
    return absl::InternalError("the configuration cannot be printed");
  }
  std::fputs(json.c_str(), stdout);
  return absl::OkStatus();
}

// What is asked for instead of running.
enum class Question { kNone, kHelp, kVersion, kPrintConfig };

// What stood on the command line.
struct Given {
  std::map<std::string, std::string> values;  // by field name
  std::string config_file;
  Question question = Question::kNone;
};

// Fields come first, in their order.
std::vector<FlagForm> FlagForms(const Message& config) {
  std::vector<FlagForm> forms;
  for (const FieldDescriptor* field : FieldsOf(config)) {
    const bool is_switch = field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL;
    const bool is_text = field->cpp_type() == FieldDescriptor::CPPTYPE_STRING;
    forms.push_back({.name = FlagName(field->name()),
                     .value = is_switch ? FlagValue::kOptional : FlagValue::kNeeded,
                     .value_name = is_text ? "TEXT" : "NUMBER"});
  }
  forms.push_back({.name = "--config", .value = FlagValue::kNeeded, .value_name = "FILE"});
  forms.push_back({.name = "--print-config"});
  forms.push_back({.name = "--version", .letter = "-v"});
  forms.push_back({.name = "--help", .letter = "-h"});
  return forms;
}

Question QuestionOf(const std::string& word) {
  if (word == "--help" || word == "help") return Question::kHelp;
  if (word == "--version" || word == "version") return Question::kVersion;
  return word == "--print-config" ? Question::kPrintConfig : Question::kNone;
}

absl::StatusOr<Given> ParseCommandLine(int argc, char** argv, const ProgramInfo& program,
                                       const Message& config) {
  const std::vector<FlagForm> forms = FlagForms(config);
  const auto line = SplitCommandLine({argv + std::min(argc, 1), argv + argc}, forms,
                                     {program.name, program.name + " --help"});
  if (!line.ok()) return line.status();
  Given given;
  for (const GivenFlag& flag : line->flags) {
    const FlagForm& form = forms[flag.form];
    if (flag.form < FieldsOf(config).size()) {
      const bool alone = form.value == FlagValue::kOptional && flag.value.empty();
      given.values[FieldsOf(config)[flag.form]->name()] = alone ? "true" : flag.value;
    } else if (form.name == "--config") {
      given.config_file = flag.value;
    } else if (given.question == Question::kNone) {
      given.question = QuestionOf(form.name);
    }
  }
  if (line->words.empty()) return given;
  given.question = QuestionOf(line->words.front());
  const size_t expected = given.question == Question::kNone ? 0 : 1;
  if (line->words.size() > expected) {
    return absl::InvalidArgumentError(
        absl::StrCat("argument '", ShownArgument(line->words[expected]), "' is not expected by ",
                     program.name, "; see ", program.name, " --help"));
  }
  return given;
}

// The field's value as a number; nothing where it is not set, or is none.
std::optional<double> NumberOf(const Message& config, const std::string& name) {
  const FieldDescriptor* field = config.GetDescriptor()->FindFieldByName(name);
  const google::protobuf::Reflection& reflection = *config.GetReflection();
  if (field == nullptr || !reflection.HasField(config, field)) return std::nullopt;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection.GetInt32(config, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return static_cast<double>(reflection.GetInt64(config, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection.GetDouble(config, field);
    default:
      return std::nullopt;
  }
}

// Whole numbers as such: 876000, not 8.76e+05.
std::string NumberText(double value) {
  const bool whole = std::floor(value) == value && std::abs(value) < 1e18;
  return whole ? std::to_string(static_cast<int64_t>(value)) : absl::StrCat(value);
}

}  // namespace

std::string RangeText(const SettingRange& range) {
  if (range.least == kAboveZero) return "Above 0";
  if (std::isinf(range.most)) return absl::StrCat(NumberText(range.least), " or more");
  return absl::StrCat(NumberText(range.least), " to ", NumberText(range.most));
}

absl::Status CheckRanges(const Message& config, const std::vector<SettingRange>& ranges) {
  for (const SettingRange& range : ranges) {
    const std::optional<double> value = NumberOf(config, std::string(range.field));
    if (!value.has_value() || (*value >= range.least && *value <= range.most)) continue;
    const std::string legal =
        range.least == kAboveZero
            ? "legal is a number above 0"
            : absl::StrCat("the nearest legal value is ",
                           NumberText(*value > range.most ? range.most : range.least));
    return absl::InvalidArgumentError(
        absl::StrCat(FlagName(range.field), " ", NumberText(*value), " is not legal; ", legal));
  }
  return absl::OkStatus();
}

absl::StatusOr<ConfigOutcome> LoadConfig(int argc, char** argv, const ProgramInfo& program,
                                         Message& config) {
  absl::StatusOr<Given> given = ParseCommandLine(argc, argv, program, config);
  if (!given.ok()) return given.status();
  if (given->question == Question::kHelp) {
    std::fputs(LayOut(SettingsPage(program, config), HelpColumns()).c_str(), stdout);
    return ConfigOutcome::kPrinted;
  }
  if (given->question == Question::kVersion) {
    std::puts(program.versions.c_str());
    return ConfigOutcome::kPrinted;
  }
  const char* file_from_env = std::getenv("COGWHEEL_CONFIG");
  if (given->config_file.empty() && file_from_env != nullptr) given->config_file = file_from_env;
  absl::Status merged;
  if (!given->config_file.empty()) merged = MergeFile(given->config_file, config);
  if (merged.ok()) merged = MergeEnvironment(config);
  if (!merged.ok()) return merged;
  for (const auto& [name, value] : given->values) {
    const FieldDescriptor& field = *config.GetDescriptor()->FindFieldByName(name);
    const absl::Status set = SetOrExplain(config, field, FlagName(name), value);
    if (!set.ok()) return set;
  }
  if (given->question != Question::kPrintConfig) return ConfigOutcome::kRun;
  const absl::Status printed = PrintConfig(config);
  if (!printed.ok()) return printed;
  return ConfigOutcome::kPrinted;
}

}  // namespace cogwheel
