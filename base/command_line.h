#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>

// A command line, split by the flags that its program takes.
namespace cogwheel {

enum class FlagValue {
  kNone,      // --json
  kNeeded,    // --output FILE or --output=FILE
  kOptional,  // --allow-plaintext or --allow-plaintext=false, or with the word behind it
};

struct FlagForm {
  std::string name;    // "--output"
  std::string letter;  // "-o", or empty
  FlagValue value = FlagValue::kNone;
  std::string value_name;  // "FILE", for messages
  bool repeatable = false;
};

struct GivenFlag {
  size_t form = 0;    // its place among the forms
  std::string value;  // empty where none was given
};

struct CommandLine {
  std::vector<GivenFlag> flags;    // as they stood
  std::vector<std::string> words;  // that belong to no flag
};

// Who takes the flags.
struct ProgramName {
  std::string name;  // "generate"
  std::string help;  // the command that shows them: "cogwheel help generate"
};

// INVALID_ARGUMENT, in one line: a flag that `program` does not know, with the nearest that it
// does, one without its value, and one that is given twice. A switch may be given again.
absl::StatusOr<CommandLine> SplitCommandLine(const std::vector<std::string>& arguments,
                                             const std::vector<FlagForm>& forms,
                                             const ProgramName& program);

// The first word that begins with `text`, of two letters or more; else the one with the fewest
// changed letters; empty where those are as many as `text` has.
std::string_view NearestWord(std::string_view text, const std::vector<std::string>& words);

// What of an argument may stand in a message: one line, no control characters, not a page.
std::string ShownArgument(std::string_view text);

}  // namespace cogwheel
