#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "client/arguments.h"
#include "client/flag_values.h"

// The commands and their flags, of which the parser, the help pages and the shells' completion are
// made.
namespace cogwheel {

struct CommandRow {
  const char* name;
  std::optional<Command> command;  // nothing: answered by the command line alone
  const char* group;               // of `cogwheel --help`
  const char* what;
  // What stands behind it without a flag: "JOB", one of Words(); "[NAME]": it may be left out; or
  // "".
  const char* word;
  const char* example;  // without "cogwheel"
};

// What may stand behind a command.
struct WordRow {
  const char* name;   // "JOB"
  const char* what;   // for help: a sentence
  const char* needs;  // where it is missing: what it is, and where to find one
};
const WordRow* FindWord(std::string_view name);  // null: there is none

constexpr unsigned Bit(Command command) { return 1U << static_cast<unsigned>(command); }

struct FlagRow {
  unsigned commands = 0;  // that take it, by Bit()
  const char* group = "";
  const char* name = "";
  const char* letter = "";    // "-o", or ""
  const char* value = "";     // "FILE"; "ddim|dpm": one of these; "": a switch
  const char* words = "";     // one of these, where `value` does not list them
  const char* what = "";      // a sentence, or more
  NumberRange range = {};     // of a number; its `legal` is also shown of other values
  const char* fallback = "";  // "Default 4"; "": there is none, as it is required
  bool required = false;
  bool repeatable = false;
  // Fills in the arguments; says what is wrong with the text.
  absl::Status (*use)(const FlagRow& row, const std::string& text, Arguments& arguments) = nullptr;
};

std::span<const CommandRow> Commands();
const CommandRow* FindCommand(std::string_view name);  // null: there is none

// The flags of requests, of what operators do, and all others: each part with the important first.
std::span<const FlagRow> RequestFlagRows();
std::span<const FlagRow> OperateFlagRows();
std::span<const FlagRow> ServiceFlagRows();

std::vector<const FlagRow*> FlagsOf(Command command);

// "--guidance-scale" -> "guidance_scale".
std::string FieldOf(const FlagRow& row);

// For rows: keeps the text, which may not be empty.
template <std::string RequestFlags::* kMember>
absl::Status UseText(const FlagRow& row, const std::string& text, Arguments& arguments) {
  arguments.request.*kMember = text;
  return text.empty() ? RefuseEmpty(FieldOf(row)) : absl::OkStatus();
}

}  // namespace cogwheel
