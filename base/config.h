#pragma once

#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "base/help_text.h"

// Settings of a server program from flags, environment and file, driven by the fields of its Config
// message: `data_dir` is --data-dir, COGWHEEL_DATA_DIR and "data_dir" (or "dataDir") in the
// --config file's JSON.
namespace cogwheel {

enum class ConfigOutcome {
  kRun,      // `config` is filled
  kPrinted,  // --help, --version or --print-config was answered on stdout: exit 0
};

// What a number may be: for the check and for --help.
struct SettingRange {
  std::string_view field;
  double least = 0;
  double most = std::numeric_limits<double>::infinity();
};

// As `least` of a number that is above 0.
inline constexpr double kAboveZero = std::numeric_limits<double>::min();

struct ProgramInfo {
  std::string name;           // "cogwheel-server"
  std::string summary;        // one line for --help
  std::string versions;       // printed by --version: the build and every library's version
  std::string_view comments;  // of the Config message, as setting_help.h reads them
  std::vector<SettingRange> ranges;
  std::vector<std::string> examples;  // for --help: commands
  std::vector<HelpEntry> exit_codes;
};

// Flags win over environment, environment over file. `config` comes with the defaults.
// INVALID_ARGUMENT names the flag, the value and what is legal.
absl::StatusOr<ConfigOutcome> LoadConfig(int argc, char** argv, const ProgramInfo& program,
                                         google::protobuf::Message& config);

// "1 to 16", "1 or more", "Above 0".
std::string RangeText(const SettingRange& range);

// INVALID_ARGUMENT names the flag, the value and the nearest legal value. A number that is not set
// is not looked at.
absl::Status CheckRanges(const google::protobuf::Message& config,
                         const std::vector<SettingRange>& ranges);

}  // namespace cogwheel
