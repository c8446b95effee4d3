#include "client/arguments.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "base/command_line.h"
#include "base/help_text.h"
#include "client/command_help.h"
#include "client/command_table.h"
#include "client/completion.h"
#include "client/output_name.h"
#include "client/version.h"

namespace cogwheel {
namespace {

using Words = std::vector<std::string>;

template <typename... Parts>
absl::Status Refuse(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

ParsedArguments Answer(std::string text) { return {std::nullopt, std::move(text)}; }

Words CommandNames() {
  Words names;
  for (const CommandRow& row : Commands()) names.push_back(row.name);
  return names;
}

absl::StatusOr<const CommandRow*> CommandOf(const std::string& word) {
  const CommandRow* command = FindCommand(word);
  if (command != nullptr) return command;
  if (word.starts_with("-")) {
    return Refuse("flag '", ShownArgument(word), "' stands before the command; legal is behind it");
  }
  const Words names = CommandNames();
  const std::string nearest(NearestWord(word, names));
  return Refuse("command '", ShownArgument(word), "' is not known; ",
                nearest.empty() ? "see cogwheel help" : "the nearest is " + nearest);
}

bool AsksForHelp(const std::string& word) { return word == "--help" || word == "-h"; }

// `help`, `version` and `completion`, which need nothing but the tables.
absl::StatusOr<ParsedArguments> AnswerOf(const CommandRow& command, const Words& words) {
  if (!words.empty() && AsksForHelp(words.front())) {
    return Answer(CommandHelp(command, HelpColumns()));
  }
  const std::string name = command.name;
  const size_t most = name == "version" ? 0 : 1;
  if (words.size() > most) {
    return Refuse("argument '", ShownArgument(words[most]), "' is not expected by ", name);
  }
  if (name == "version") return Answer(VersionText() + "\n");
  if (name == "help") {
    if (words.empty()) return Answer(ProgramHelp(HelpColumns()));
    if (words.front().starts_with("-")) {
      return Refuse("flag '", ShownArgument(words.front()),
                    "' is not known by help; legal is cogwheel help [COMMAND]");
    }
    const absl::StatusOr<const CommandRow*> asked = CommandOf(words.front());
    if (!asked.ok()) return asked.status();
    return Answer(CommandHelp(**asked, HelpColumns()));
  }
  const std::string shell = words.empty() ? "" : words.front();
  if (std::count(std::begin(kShells), std::end(kShells), shell) == 0) {
    return Refuse("shell '", ShownArgument(shell), "' is not known; legal is bash or zsh");
  }
  return Answer(CompletionScript(shell));
}

std::vector<FlagForm> FormsOf(const std::vector<const FlagRow*>& rows) {
  std::vector<FlagForm> forms;
  for (const FlagRow* row : rows) {
    const bool is_switch = *row->value == '\0';
    forms.push_back({.name = row->name,
                     .letter = row->letter,
                     .value = is_switch ? FlagValue::kNone : FlagValue::kNeeded,
                     .value_name = row->value,
                     .repeatable = row->repeatable});
  }
  forms.push_back({.name = "--help", .letter = "-h"});
  return forms;
}

// A prompt without quotation marks comes as several words.
absl::Status RefuseWord(const CommandRow& command, const std::string& word,
                        const std::string& prompt) {
  const std::string refusal =
      absl::StrCat("argument '", ShownArgument(word), "' is not expected by ", command.name);
  const bool makes = *command.command == Command::kGenerate || *command.command == Command::kSubmit;
  if (!makes) return Refuse(refusal);
  constexpr char kSpecial[] = "\"$`\\!";  // between quotation marks, for a shell
  const bool copies =
      ShownArgument(prompt) == prompt && prompt.find_first_of(kSpecial) == std::string::npos;
  return Refuse(refusal, "; put the prompt in quotation marks: --prompt \"",
                copies ? prompt : "...", "\"");
}

// The command line of one command.
class CommandParser {
 public:
  CommandParser(const CommandRow& command, const ArgumentDefaults& defaults)
      : command_(command), rows_(FlagsOf(*command.command)), defaults_(defaults) {
    arguments_.command = *command.command;
    arguments_.access = defaults.access;
  }

  absl::StatusOr<ParsedArguments> Parse(const Words& words);

 private:
  absl::Status CheckFlagsOfOthers(const Words& words) const;
  absl::Status TakeFlags(const CommandLine& line);
  absl::Status TakeWords(const Words& words);
  absl::Status CheckWhole() const;
  absl::Status CheckTarget() const;
  absl::Status CheckWhere() const;
  bool Given(std::string_view flag) const {
    return std::find(given_.begin(), given_.end(), flag) != given_.end();
  }

  const CommandRow& command_;
  const std::vector<const FlagRow*> rows_;
  const ArgumentDefaults& defaults_;
  Arguments arguments_;
  Words given_;  // names of flags
};

// A flag that another command takes is no typing error.
absl::Status CommandParser::CheckFlagsOfOthers(const Words& words) const {
  for (const std::string& word : words) {
    if (word == "--") break;
    const std::string name = word.substr(0, word.find('='));
    const auto same = [&name](const FlagRow* row) { return row->name == name; };
    if (std::any_of(rows_.begin(), rows_.end(), same)) continue;
    Words takers;
    for (const CommandRow& other : Commands()) {
      if (!other.command.has_value()) continue;
      const std::vector<const FlagRow*> rows = FlagsOf(*other.command);
      if (std::any_of(rows.begin(), rows.end(), same)) takers.push_back(other.name);
    }
    if (takers.empty()) continue;
    return Refuse("flag '", name, "' is not known by ", command_.name, "; it is one of ",
                  absl::StrJoin(takers, ", "));
  }
  return absl::OkStatus();
}

absl::Status CommandParser::TakeFlags(const CommandLine& line) {
  for (const GivenFlag& flag : line.flags) {
    const FlagRow& row = *rows_[flag.form];
    given_.push_back(row.name);
    const absl::Status used = row.use(row, flag.value, arguments_);
    if (!used.ok()) return used;
  }
  return absl::OkStatus();
}

absl::Status CommandParser::TakeWords(const Words& words) {
  const size_t taken = *command_.word == '\0' ? 0 : 1;
  const bool job = std::string_view(command_.word) == "JOB";
  if (taken == 1 && !words.empty())
    (job ? arguments_.job : arguments_.operate.name) = words.front();
  if (words.size() <= taken) return absl::OkStatus();
  Words prompt = words;
  if (Given("--prompt")) prompt.insert(prompt.begin(), arguments_.request.prompt);
  return RefuseWord(command_, words[taken], absl::StrJoin(prompt, " "));
}

// What no single flag can tell.
absl::Status CommandParser::CheckWhole() const {
  for (const FlagRow* row : rows_) {
    if (!row->required || Given(row->name)) continue;
    return Refuse(row->name, " is missing; it takes ", std::string(row->range.legal));
  }
  if (arguments_.json && arguments_.output == kStandardOutput) {
    return Refuse(
        "output - cannot be used with --json: both write to standard output; legal is "
        "-o FILE");
  }
  if (arguments_.previews && !arguments_.json) return Refuse("--previews needs --json");
  const bool needs_word = *command_.word != '\0' && *command_.word != '[';
  if (needs_word && arguments_.job.empty() && arguments_.operate.name.empty()) {
    return Refuse(command_.name, " needs ", FindWord(command_.word)->needs);
  }
  const absl::Status target = CheckTarget();
  if (!target.ok()) return target;
  return command_.command == Command::kGenerate ? CheckWhere() : absl::OkStatus();
}

// What is paused is a model or a tenant.
absl::Status CommandParser::CheckTarget() const {
  const Command command = arguments_.command;
  if (command != Command::kPause && command != Command::kUnpause) return absl::OkStatus();
  if (Given("--model") != Given("--tenant")) return absl::OkStatus();
  return Given("--model") ? Refuse("--model cannot be used with --tenant; leave one of the two out")
                          : Refuse(command_.name, " needs --model NAME or --tenant NAME");
}

// Flags that `generate` has for one place only: a server, or ranks of its own.
absl::Status CommandParser::CheckWhere() const {
  if (arguments_.server.empty()) {
    for (const char* flag : {"--tls-ca", "--tls-certificate", "--tls-key", "--token-file"}) {
      if (Given(flag)) return Refuse(flag, " needs --server");
    }
    return absl::OkStatus();
  }
  for (const char* flag :
       {"--cfg-parallel", "--ring", "--ulysses", "--device", "--dtype", "--variant"}) {
    if (!Given(flag)) continue;
    return Refuse(flag,
                  " cannot be used with --server: the server's ranks are as they were "
                  "started; leave one of the two out");
  }
  return absl::OkStatus();
}

absl::StatusOr<ParsedArguments> CommandParser::Parse(const Words& words) {
  if (words.size() == 1 && words.front() == "help") {
    return Answer(CommandHelp(command_, HelpColumns()));
  }
  const absl::Status own = CheckFlagsOfOthers(words);
  if (!own.ok()) return own;
  const auto line = SplitCommandLine(
      words, FormsOf(rows_), {command_.name, absl::StrCat("cogwheel help ", command_.name)});
  if (!line.ok()) return line.status();
  const auto asks_for_help = [this](const GivenFlag& flag) { return flag.form == rows_.size(); };
  if (std::any_of(line->flags.begin(), line->flags.end(), asks_for_help)) {
    return Answer(CommandHelp(command_, HelpColumns()));
  }
  absl::Status taken = TakeFlags(*line);
  if (taken.ok()) taken = TakeWords(line->words);
  if (taken.ok()) taken = CheckWhole();
  if (!taken.ok()) return taken;
  const Command command = arguments_.command;
  if (arguments_.server.empty() && command != Command::kGenerate && command != Command::kDoctor) {
    arguments_.server = defaults_.server;
    const absl::Status address = CheckAddress("COGWHEEL_SERVER", defaults_.server);
    if (!address.ok()) return address;
  }
  return ParsedArguments{arguments_, ""};
}

}  // namespace

absl::StatusOr<ParsedArguments> ParseArguments(int argc, const char* const* argv,
                                               const ArgumentDefaults& defaults) {
  const Words words(argv + std::min(argc, 1), argv + argc);
  if (words.empty()) {
    return Refuse("a command is missing; legal is ", absl::StrJoin(CommandNames(), ", "),
                  "; see cogwheel help");
  }
  if (AsksForHelp(words.front())) return Answer(ProgramHelp(HelpColumns()));
  if (words.front() == "--version" || words.front() == "-v") return Answer(VersionText() + "\n");
  const absl::StatusOr<const CommandRow*> command = CommandOf(words.front());
  if (!command.ok()) return command.status();
  const Words rest(words.begin() + 1, words.end());
  if (!(*command)->command.has_value()) return AnswerOf(**command, rest);
  return CommandParser(**command, defaults).Parse(rest);
}

}  // namespace cogwheel
