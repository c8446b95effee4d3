#include "client/arguments.h"

#include <utility>

#include <CLI/CLI.hpp>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "client/command_flags.h"
#include "client/flag_values.h"
#include "client/output_name.h"
#include "client/version.h"

namespace cogwheel {
namespace {

// Builds the parser around one Arguments.
class Parser {
 public:
  explicit Parser(const ArgumentDefaults& defaults);

  absl::StatusOr<ParsedArguments> Parse(int argc, const char* const* argv);

 private:
  absl::Status CheckCommand() const;
  absl::Status CheckWhole(const CLI::App& command) const;
  absl::Status CheckWhere(const CLI::App& command) const;

  CLI::App app_;
  Arguments arguments_;
  const ArgumentDefaults defaults_;
  absl::Status problem_;
};

std::vector<std::string> LongFlags(const CLI::App& command) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

std::string FirstLine(const std::string& text) { return text.substr(0, text.find('\n')); }

Parser::Parser(const ArgumentDefaults& defaults)
    : app_("Text to video with CogVideoX, sharded over ranks.", "cogwheel"), defaults_(defaults) {
  arguments_.access = defaults.access;
  app_.allow_extras();
  app_.set_version_flag("--version", VersionText() + "\nCLI11 " CLI11_VERSION,
                        "print the versions of everything inside");
  app_.footer("COMMAND --help shows a command's flags.");
  AddCommands(app_, arguments_, problem_);
}

// One command, and nothing before it: its flags would be lost there.
absl::Status Parser::CheckCommand() const {
  const std::vector<std::string> names = CommandNames();
  if (!app_.remaining().empty()) {
    const std::string word = FirstLine(app_.remaining().front());
    return absl::InvalidArgumentError(
        word.starts_with("-")
            ? absl::StrCat("flag '", word, "' stands before the command; legal is behind it")
            : absl::StrCat("command '", word, "' is not known; the nearest is ",
                           std::string(NearestWord(word, names))));
  }
  if (!app_.get_subcommands().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError("a command is missing; legal is " + absl::StrJoin(names, ", "));
}

// What no single flag can tell.
absl::Status Parser::CheckWhole(const CLI::App& command) const {
  const std::vector<std::string> extras = command.remaining();
  if (!extras.empty()) {
    const std::string& extra = extras.front();
    if (!extra.starts_with("-")) {
      return absl::InvalidArgumentError(absl::StrCat("argument '", FirstLine(extra),
                                                     "' is not expected by ", command.get_name()));
    }
    return absl::InvalidArgumentError(
        absl::StrCat("flag '", FirstLine(extra), "' is not known by ", command.get_name(),
                     "; the nearest is ", std::string(NearestWord(extra, LongFlags(command)))));
  }
  const bool wants_prompt =
      arguments_.command == Command::kGenerate || arguments_.command == Command::kSubmit;
  if (wants_prompt && command.count("--prompt") == 0) {
    return absl::InvalidArgumentError("--prompt is missing; it takes 1 byte to 16 KiB of UTF-8");
  }
  if (arguments_.json && arguments_.output == kStandardOutput) {
    return absl::InvalidArgumentError(
        "output - cannot be used with --json: both write to standard output; legal is -o FILE");
  }
  if (command.get_option_no_throw("job") != nullptr && arguments_.job.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(command.get_name(), " needs a job's name, jobs/ID or ID"));
  }
  if (arguments_.command == Command::kGenerate) return CheckWhere(command);
  return absl::OkStatus();
}

// Flags that `generate` has for one place only: a server, or ranks of its own.
absl::Status Parser::CheckWhere(const CLI::App& command) const {
  if (arguments_.server.empty()) {
    for (const char* flag : {"--tls-ca", "--tls-certificate", "--tls-key", "--token-file"}) {
      if (command.count(flag) == 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(flag, " needs --server"));
    }
    return absl::OkStatus();
  }
  for (const char* flag :
       {"--cfg-parallel", "--ring", "--ulysses", "--device", "--dtype", "--variant"}) {
    if (command.count(flag) == 0) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        flag, " cannot be used with --server: the server's ranks are as they were started"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ParsedArguments> Parser::Parse(int argc, const char* const* argv) {
  try {
    app_.parse(argc, argv);
  } catch (const CLI::CallForVersion& call) {
    return ParsedArguments{std::nullopt, std::string(call.what()) + "\n"};
  } catch (const CLI::CallForHelp&) {
    const auto chosen = app_.get_subcommands();
    return ParsedArguments{std::nullopt,
                           chosen.empty() ? app_.help() : chosen[0]->help(app_.get_name())};
  } catch (const CLI::ParseError& error) {
    return absl::InvalidArgumentError(FirstLine(error.what()));
  }
  const absl::Status command = CheckCommand();
  if (!command.ok()) return command;
  if (!problem_.ok()) return problem_;
  const absl::Status whole = CheckWhole(*app_.get_subcommands().front());
  if (!whole.ok()) return whole;
  const bool own =
      arguments_.command == Command::kGenerate || arguments_.command == Command::kDoctor;
  if (arguments_.server.empty() && !own) {
    arguments_.server = defaults_.server;
    const absl::Status address = CheckAddress(defaults_.server);
    if (!address.ok()) return address;
  }
  return ParsedArguments{arguments_, ""};
}

}  // namespace

absl::StatusOr<ParsedArguments> ParseArguments(int argc, const char* const* argv,
                                               const ArgumentDefaults& defaults) {
  return Parser(defaults).Parse(argc, argv);
}

}  // namespace cogwheel
