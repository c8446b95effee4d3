#pragma once

#include <string>

#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

// Settings of a server program from flags, environment and file, driven by the fields of its Config
// message: `data_dir` is --data-dir, COGWHEEL_DATA_DIR and "data_dir" (or "dataDir") in the
// --config file's JSON.
namespace cogwheel {

enum class ConfigOutcome {
  kRun,      // `config` is filled
  kPrinted,  // --help, --version or --print-config was answered on stdout: exit 0
};

struct ProgramInfo {
  std::string name;      // "cogwheel-server"
  std::string summary;   // one line for --help
  std::string versions;  // printed by --version: the build and every library's version
};

// Flags win over environment, environment over file. INVALID_ARGUMENT names the flag, the value and
// what is legal.
absl::StatusOr<ConfigOutcome> LoadConfig(int argc, char** argv, const ProgramInfo& program,
                                         google::protobuf::Message& config);

}  // namespace cogwheel
