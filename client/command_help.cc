#include "client/command_help.h"

#include <cctype>

#include <absl/strings/str_cat.h>

#include "base/help_text.h"

namespace cogwheel {
namespace {

std::string Capitalised(std::string text) {
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

HelpEntry EntryOf(const FlagRow& row) {
  const std::string letter = *row.letter == '\0' ? "" : absl::StrCat(row.letter, ", ");
  const std::string value = *row.value == '\0' ? "" : absl::StrCat(" ", row.value);
  const std::string legal =
      row.range.legal.empty() ? "" : Capitalised(std::string(row.range.legal)) + ". ";
  return {absl::StrCat(letter, row.name, value),
          absl::StrCat(row.what, ". ", legal, row.required ? "Required" : row.fallback, ".")};
}

HelpSection ExitCodes() {
  return {.title = "Exit codes",
          .entries = {{"0", "Done."},
                      {"2", "Refused: an argument, a file, a model or a name cannot be used."},
                      {"3", "Not reachable, not ready, or too busy: try again later."},
                      {"4", "The job failed or expired, or something broke."},
                      {"5", "Cancelled: Ctrl-C cancels the job of generate."}}};
}

HelpSection Environment() {
  return {.title = "Environment",
          .entries = {{"COGWHEEL_SERVER",
                       "HOST:PORT of the server, for all commands but generate. Default "
                       "127.0.0.1:50051."},
                      {"COGWHEEL_TOKEN_FILE", "As --token-file. No default."},
                      {"COGWHEEL_TLS_CA, COGWHEEL_TLS_CERTIFICATE, COGWHEEL_TLS_KEY",
                       "As the flags of these names. No default."},
                      {"COGWHEEL_MODELS",
                       "Folder that holds the shipped model. Default: beside the program."}}};
}

}  // namespace

std::string ProgramHelp(int columns) {
  HelpPage page{.usage = "cogwheel COMMAND [FLAGS]",
                .paragraphs = {"Text to video with CogVideoX, sharded over ranks.",
                               "cogwheel help COMMAND shows a command's flags."}};
  page.sections.push_back(
      {.title = "Example", .commands = {absl::StrCat("cogwheel ", Commands().front().example)}});
  for (const CommandRow& row : Commands()) {
    const std::string word = *row.word == '\0' ? "" : absl::StrCat(" ", row.word);
    SectionOf(page, row.group).entries.push_back({row.name + word, absl::StrCat(row.what, ".")});
  }
  page.sections.push_back(Environment());
  page.sections.push_back(ExitCodes());
  return LayOut(page, columns);
}

std::string CommandHelp(const CommandRow& command, int columns) {
  const std::string word = *command.word == '\0' ? "" : absl::StrCat(" ", command.word);
  const std::string flags = command.command.has_value() ? " [FLAGS]" : "";
  HelpPage page{.usage = absl::StrCat("cogwheel ", command.name, flags, word),
                .paragraphs = {absl::StrCat(command.what, ".")}};
  page.sections.push_back(
      {.title = "Example", .commands = {absl::StrCat("cogwheel ", command.example)}});
  if (command.command.has_value() && !word.empty()) {
    page.sections.push_back(
        {.title = "Argument", .entries = {{command.word, FindWord(command.word)->what}}});
  }
  if (!command.command.has_value()) return LayOut(page, columns);
  for (const FlagRow* row : FlagsOf(*command.command)) {
    SectionOf(page, row->group).entries.push_back(EntryOf(*row));
  }
  SectionOf(page, "Output")
      .entries.push_back({"-h, --help", "Print this text and leave. Off by default."});
  page.sections.push_back(ExitCodes());
  return LayOut(page, columns);
}

}  // namespace cogwheel
