#include "client/command_table.h"

namespace cogwheel {
namespace {

constexpr char kMake[] = "Make a video", kJobs[] = "Jobs on a server", kServer[] = "The server",
               kHere[] = "This program and machine";

constexpr CommandRow kCommands[] = {
    {"generate", Command::kGenerate, kMake, "Make a video and write it to a file", "",
     "generate --prompt \"a red circle moving right\" -o circle.mp4"},
    {"submit", Command::kSubmit, kJobs, "Queue a job and print its name", "",
     "submit --prompt \"a red circle moving right\""},
    {"list", Command::kList, kJobs, "Show jobs, the newest first", "",
     "list --state queued,running"},
    {"get", Command::kGet, kJobs, "Show a job", "JOB", "get jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"},
    {"watch", Command::kWatch, kJobs, "Follow a job to its end", "JOB",
     "watch jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"},
    {"download", Command::kDownload, kJobs, "Write a finished job's result to a file", "JOB",
     "download jobs/01hzzzzzzzzzzzzzzzzzzzzzzz -o circle.mp4"},
    {"cancel", Command::kCancel, kJobs, "Cancel a job", "JOB",
     "cancel jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"},
    {"delete", Command::kDelete, kJobs, "Remove a finished job and its result", "JOB",
     "delete jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"},
    {"health", Command::kHealth, kServer, "Exit 0 if a job submitted now would start, else 3", "",
     "health --server 127.0.0.1:50051"},
    {"models", Command::kModels, kServer, "Show the models that the server knows", "", "models"},
    {"groups", Command::kGroups, kServer, "Show the groups and their ranks", "", "groups"},
    {"doctor", Command::kDoctor, kHere,
     "Say what would stop a checkpoint on this machine, and what to do", "",
     "doctor --model ~/CogVideoX-2b --ulysses 2"},
    {"completion", std::nullopt, kHere,
     "Print a script that completes commands and flags; source it from ~/.bashrc or ~/.zshrc",
     "bash|zsh", "completion bash > ~/.cogwheel-completion"},
    {"help", std::nullopt, kHere, "Show the help of a command", "[COMMAND]", "help generate"},
    {"version", std::nullopt, kHere, "Print the versions of everything inside", "", "version"},
};

}  // namespace

std::span<const CommandRow> Commands() { return kCommands; }

const CommandRow* FindCommand(std::string_view name) {
  for (const CommandRow& row : Commands()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::vector<const FlagRow*> FlagsOf(Command command) {
  std::vector<const FlagRow*> rows;
  for (const std::span<const FlagRow> part : {RequestFlagRows(), ServiceFlagRows()}) {
    for (const FlagRow& row : part) {
      if ((row.commands & Bit(command)) != 0) rows.push_back(&row);
    }
  }
  return rows;
}

std::string FieldOf(const FlagRow& row) {
  std::string field = row.name + 2;
  for (char& c : field) c = c == '-' ? '_' : c;
  return field;
}

}  // namespace cogwheel
