#include "base/config.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <vector>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>
#include <absl/strings/str_split.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/util/json_util.h>
#include <CLI/CLI.hpp>

namespace cogwheel {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr char kEnvPrefix[] = "COGWHEEL_";
constexpr int64_t kMaxFileBytes = 1024 * 1024;

std::string FlagName(const std::string& field) {
  std::string flag = "--" + field;
  std::replace(flag.begin() + 2, flag.end(), '_', '-');
  return flag;
}

std::string EnvName(const std::string& field) {
  std::string name = kEnvPrefix + field;
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return std::toupper(c); });
  return name;
}

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
  return absl::InvalidArgumentError(
      absl::StrCat(origin, " '", text, "' is not legal; legal is ", LegalType(field)));
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
    const std::string name = EnvName(field->name());
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

// What stood on the command line.
struct CommandLine {
  std::map<std::string, std::string> values;  // by field name
  std::string config_file;
  bool print_config = false, version = false, help = false;
  std::string help_text;
};

void AddFlags(CLI::App& app, const Message& config, CommandLine& line) {
  app.set_help_flag();
  app.add_flag("--help,-h", line.help, "show this text");
  app.add_flag("--version", line.version, "show the build and every library's version");
  app.add_flag("--print-config", line.print_config, "show the configuration and leave");
  app.add_option("--config", line.config_file, "file with the configuration as JSON");
  for (const FieldDescriptor* field : FieldsOf(config)) {
    CLI::Option* flag = app.add_option_function<std::string>(
        FlagName(field->name()),
        [&line, field](const std::string& value) { line.values[field->name()] = value; },
        absl::StrCat("also ", EnvName(field->name())));
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
      flag->expected(0, 1)->default_str("true")->option_text("[true|false]");
    } else {
      flag->type_name(field->cpp_type() == FieldDescriptor::CPPTYPE_STRING ? "TEXT" : "NUMBER");
    }
  }
  app.allow_extras();
}

absl::StatusOr<CommandLine> ParseCommandLine(int argc, char** argv, const ProgramInfo& program,
                                             const Message& config) {
  CommandLine line;
  CLI::App app(program.summary, program.name);
  AddFlags(app, config, line);
  try {  // CLI11 reports by exceptions; they end here
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(error.what());
  }
  line.help_text = app.help();
  if (app.remaining_size() == 0) return line;
  const std::string extra = app.remaining().front();
  std::vector<std::string> flags = {"--config", "--print-config", "--version", "--help"};
  for (const FieldDescriptor* field : FieldsOf(config)) flags.push_back(FlagName(field->name()));
  return absl::InvalidArgumentError(absl::StrCat(
      extra.starts_with("-") ? "unknown flag " : "argument ", extra,
      extra.starts_with("-") ? "" : " is not expected", "; legal are ", absl::StrJoin(flags, " ")));
}

}  // namespace

absl::StatusOr<ConfigOutcome> LoadConfig(int argc, char** argv, const ProgramInfo& program,
                                         Message& config) {
  absl::StatusOr<CommandLine> line = ParseCommandLine(argc, argv, program, config);
  if (!line.ok()) return line.status();
  if (line->help || line->version) {
    std::puts(line->help ? line->help_text.c_str() : program.versions.c_str());
    return ConfigOutcome::kPrinted;
  }
  const char* file_from_env = std::getenv("COGWHEEL_CONFIG");
  if (line->config_file.empty() && file_from_env != nullptr) line->config_file = file_from_env;
  if (!line->config_file.empty()) {
    const absl::Status merged = MergeFile(line->config_file, config);
    if (!merged.ok()) return merged;
  }
  const absl::Status merged = MergeEnvironment(config);
  if (!merged.ok()) return merged;
  for (const FieldDescriptor* field : FieldsOf(config)) {
    const auto value = line->values.find(field->name());
    if (value == line->values.end()) continue;
    const absl::Status set = SetOrExplain(config, *field, FlagName(field->name()), value->second);
    if (!set.ok()) return set;
  }
  if (!line->print_config) return ConfigOutcome::kRun;
  const absl::Status printed = PrintConfig(config);
  if (!printed.ok()) return printed;
  return ConfigOutcome::kPrinted;
}

}  // namespace cogwheel
