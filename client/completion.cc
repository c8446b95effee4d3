#include "client/completion.h"

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "client/command_table.h"

namespace cogwheel {
namespace {

constexpr char kBashHead[] = R"(# bash completion of cogwheel: source <(cogwheel completion bash)
_cogwheel() {
  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} words=
  # The sign of --flag=VALUE is a word of its own.
  if [[ $word == = ]]; then
    word=
  elif [[ $before == = ]]; then
    before=${COMP_WORDS[COMP_CWORD-2]}
  fi
  local command=${COMP_WORDS[1]}
  ((COMP_CWORD == 1)) && command=
  case "$command $before" in
)";
constexpr char kBashTail[] = R"(  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$word")
}
complete -F _cogwheel cogwheel
)";

constexpr char kZshHead[] = R"(#compdef cogwheel
# zsh completion of cogwheel: source <(cogwheel completion zsh), after compinit
_cogwheel() {
  local -a commands=(
)";
constexpr char kZshMiddle[] = R"(  )
  if ((CURRENT == 2)); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  ((CURRENT--))
  case $command in
)";
constexpr char kZshTail[] = R"(  esac
}
if [[ $funcstack[1] == _cogwheel ]]; then
  _cogwheel "$@"
else
  compdef _cogwheel cogwheel
fi
)";

enum class ValueKind { kSwitch, kChoice, kFile, kFree };

std::string_view ValueOf(const FlagRow& row) { return *row.words == '\0' ? row.value : row.words; }

ValueKind KindOf(const FlagRow& row) {
  const std::string_view value = ValueOf(row);
  if (value.empty()) return ValueKind::kSwitch;
  if (value.find('|') != value.npos) return ValueKind::kChoice;
  return value == "FILE" || value == "MODEL" ? ValueKind::kFile : ValueKind::kFree;
}

std::string Words(std::string_view choice) {
  return absl::StrReplaceAll(std::string(choice), {{"|", " "}});
}

std::string CommandNames() {
  std::string names;
  for (const CommandRow& row : Commands()) absl::StrAppend(&names, row.name, " ");
  return names;
}

// A pattern and what to do for it, of `case "$command $before"`.
std::string BashCase(const std::string& pattern, const std::string& action) {
  return absl::StrCat("    ", pattern, ") ", action, " ;;\n");
}

std::string BashFlag(const char* command, const FlagRow& row) {
  std::string pattern = absl::StrCat("'", command, " ", row.name, "'");
  if (*row.letter != '\0') absl::StrAppend(&pattern, "|'", command, " ", row.letter, "'");
  switch (KindOf(row)) {
    case ValueKind::kSwitch:
      return "";
    case ValueKind::kChoice:
      return BashCase(pattern, absl::StrCat("words='", Words(ValueOf(row)), "'"));
    case ValueKind::kFile:
      return BashCase(pattern,
                      "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "
                      "\"$word\"); return");
    case ValueKind::kFree:
      break;
  }
  return BashCase(pattern, "return");
}

std::string BashScript() {
  std::string script = kBashHead;
  for (const CommandRow& command : Commands()) {
    std::string flags = "--help";
    if (command.command.has_value()) {
      for (const FlagRow* row : FlagsOf(*command.command)) {
        absl::StrAppend(&script, BashFlag(command.name, *row));
        absl::StrAppend(&flags, " ", row->name);
      }
    } else if (std::string_view(command.word) == "[COMMAND]") {
      flags = CommandNames();
    } else {
      flags = Words(command.word);
    }
    absl::StrAppend(&script, BashCase(absl::StrCat("'", command.name, " '*"),
                                      absl::StrCat("words='", flags, "'")));
  }
  absl::StrAppend(&script, BashCase("' '*", "words='" + CommandNames() + "--help --version'"),
                  kBashTail);
  return script;
}

// "[NAME]" -> "NAME".
std::string Argument(std::string_view word) {
  return std::string(word.starts_with('[') ? word.substr(1, word.size() - 2) : word);
}

// For a place in single quotes where brackets and colons have a meaning.
std::string ZshText(std::string_view text) {
  return absl::StrReplaceAll(std::string(text),
                             {{"'", "'\\''"}, {"[", "\\["}, {"]", "\\]"}, {":", "\\:"}});
}

std::string ZshFlag(const FlagRow& row) {
  const std::string what = ZshText(row.what);
  std::string value;
  switch (KindOf(row)) {
    case ValueKind::kSwitch:
      break;
    case ValueKind::kChoice:
      value = absl::StrCat(":value:(", Words(ValueOf(row)), ")");
      break;
    case ValueKind::kFile:
      value = absl::StrCat(":", row.value, ":_files");
      break;
    case ValueKind::kFree:
      value = absl::StrCat(":", ZshText(row.value), ":");
      break;
  }
  const char* star = row.repeatable ? "*" : "";
  std::string spec;
  if (*row.letter != '\0')
    spec = absl::StrCat(" \\\n      '", row.letter, "[", what, "]", value, "'");
  return absl::StrCat(spec, " \\\n      '", star, row.name, "[", what, "]", value, "'");
}

std::string ZshScript() {
  std::string script = kZshHead;
  for (const CommandRow& command : Commands()) {
    absl::StrAppend(&script, "    '", command.name, ":", ZshText(command.what), "'\n");
  }
  absl::StrAppend(&script, kZshMiddle);
  for (const CommandRow& command : Commands()) {
    absl::StrAppend(&script, "    ", command.name, ")\n");
    if (command.command.has_value()) {
      absl::StrAppend(&script, "      _arguments '--help[Print help]'");
      for (const FlagRow* row : FlagsOf(*command.command)) absl::StrAppend(&script, ZshFlag(*row));
      const bool words = *command.word != '\0';
      absl::StrAppend(&script,
                      words ? absl::StrCat(" \\\n      ':", Argument(command.word), ":'") : "");
    } else if (std::string_view(command.word) == "[COMMAND]") {
      absl::StrAppend(&script, "      _describe command commands");
    } else {
      absl::StrAppend(&script, "      _values shell ", Words(command.word));
    }
    absl::StrAppend(&script, "\n      ;;\n");
  }
  return script + kZshTail;
}

}  // namespace

std::string CompletionScript(std::string_view shell) {
  return shell == "zsh" ? ZshScript() : BashScript();
}

}  // namespace cogwheel
