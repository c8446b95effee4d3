#include "client/run.h"

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <string>

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "client/arguments.h"
#include "client/command_result.h"
#include "client/doctor_command.h"
#include "client/generate_command.h"
#include "client/job_commands.h"
#include "client/operate_commands.h"
#include "client/shutdown_signals.h"
#include "client/text_output.h"

namespace cogwheel {
namespace {

constexpr char kDefaultServer[] = "127.0.0.1:50051";

// What was printed may still be on its way; a result that nobody can read is no success.
int Report(CommandResult result) {
  const bool printed = static_cast<bool>(std::cout << std::flush);
  if (!printed && result.exit_code == ExitCode::kDone) {
    result = ResultOf(absl::FailedPreconditionError("standard output cannot be written"));
  }
  if (!result.failure.empty()) std::cerr << "cogwheel: " << OneLine(result.failure) << std::endl;
  return static_cast<int>(result.exit_code);
}

// Libraries would add lines of their own to standard error.
void SilenceLibraries() {
  if (std::getenv("GRPC_TRACE") == nullptr) gpr_set_log_function([](gpr_log_func_args*) {});
  google::protobuf::SetLogHandler(nullptr);
}

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

ArgumentDefaults DefaultsOfEnvironment() {
  const std::string server = Environment("COGWHEEL_SERVER");
  return {server.empty() ? kDefaultServer : server,
          {Environment("COGWHEEL_TLS_CA"), Environment("COGWHEEL_TLS_CERTIFICATE"),
           Environment("COGWHEEL_TLS_KEY"), Environment("COGWHEEL_TOKEN_FILE")}};
}

}  // namespace

int RunClient(int argc, const char* const* argv) {
  SilenceLibraries();
  // A reader that went away is noticed where we write: then the temporary files are removed.
  std::signal(SIGPIPE, SIG_IGN);
  const auto parsed = ParseArguments(argc, argv, DefaultsOfEnvironment());
  if (!parsed.ok()) return Report(ResultOf(parsed.status()));
  if (!parsed->arguments.has_value()) {
    std::cout << parsed->answer;
    return Report({});
  }
  ShutdownSignals signals;
  const Arguments& arguments = *parsed->arguments;
  if (arguments.command == Command::kGenerate) return Report(Generate(arguments, signals));
  if (IsOperatorsCommand(arguments.command)) return Report(Operate(arguments, signals));
  if (arguments.command == Command::kDoctor) return Report(Doctor(arguments, signals));
  return Report(RunOnServer(arguments, signals));
}

}  // namespace cogwheel
