#include "client/command_table.h"

namespace cogwheel {
namespace {

constexpr char kMake[] = "Make a video", kJobs[] = "Jobs on a server", kServer[] = "The server",
               kOperate[] = "For operators of a server", kHere[] = "This program and machine";

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
    {"usage", Command::kUsage, kOperate, "Show what tenants used", "", "usage --from 30d"},
    {"drain", Command::kDrain, kOperate, "Give a group no more jobs", "GROUP", "drain group-1"},
    {"resume", Command::kResume, kOperate, "Give a drained group jobs again", "GROUP",
     "resume group-1"},
    {"pause", Command::kPause, kOperate, "Let the jobs of a model or a tenant wait", "",
     "pause --model cogvideox-2b --reason \"new weights at noon\""},
    {"unpause", Command::kUnpause, kOperate, "Let paused jobs start again", "",
     "unpause --model cogvideox-2b"},
    {"requeue", Command::kRequeue, kOperate, "Take a running job from its group and queue it again",
     "JOB", "requeue jobs/01hzzzzzzzzzzzzzzzzzzzzzzz"},
    {"fail", Command::kFail, kOperate, "End a queued or running job as failed", "JOB",
     "fail jobs/01hzzzzzzzzzzzzzzzzzzzzzzz --reason \"broken picture\""},
    {"retire", Command::kRetire, kOperate, "Forget a model that no group serves", "MODEL",
     "retire cogvideox-2b"},
    {"purge", Command::kPurge, kOperate, "Remove a tenant's finished jobs", "",
     "purge --tenant video-team --before 30d"},
    {"backup", Command::kBackup, kOperate, "Copy the server's store, below its --backup-dir",
     "[NAME]", "backup before-upgrade"},
    {"log-level", Command::kLogLevel, kOperate, "Set what the server's log holds", "LEVEL",
     "log-level warning"},
    {"doctor", Command::kDoctor, kHere,
     "Say what would stop a checkpoint on this machine, and what to do", "",
     "doctor --model ~/CogVideoX-2b --ulysses 2"},
    {"completion", std::nullopt, kHere,
     "Print a script that completes commands and flags; source it from ~/.bashrc or ~/.zshrc",
     "bash|zsh", "completion bash > ~/.cogwheel-completion"},
    {"help", std::nullopt, kHere, "Show the help of a command", "[COMMAND]", "help generate"},
    {"version", std::nullopt, kHere, "Print the versions of everything inside", "", "version"},
};

constexpr WordRow kWords[] = {
    {"JOB", "The job's name: jobs/ID, or ID alone. Required.",
     "a job's name, jobs/ID or ID; cogwheel list shows them"},
    {"GROUP", "The group's name. Required.", "a group's name; cogwheel groups shows them"},
    {"MODEL", "The model's name. Required.", "a model's name; cogwheel models shows them"},
    {"LEVEL", "The least of what is written: info, warning or error. Required.",
     "a level; legal is info, warning or error"},
    {"[NAME]", "Of its folder: 1 to 64 of a-z, 0-9, - and _. Default by the time.", ""},
};

}  // namespace

const WordRow* FindWord(std::string_view name) {
  for (const WordRow& row : kWords) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::span<const CommandRow> Commands() { return kCommands; }

const CommandRow* FindCommand(std::string_view name) {
  for (const CommandRow& row : Commands()) {
    if (row.name == name) return &row;
  }
  return nullptr;
}

std::vector<const FlagRow*> FlagsOf(Command command) {
  std::vector<const FlagRow*> rows;
  for (const std::span<const FlagRow> part :
       {RequestFlagRows(), OperateFlagRows(), ServiceFlagRows()}) {
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
