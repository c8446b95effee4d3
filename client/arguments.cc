#include "client/arguments.h"

#include <functional>
#include <memory>
#include <utility>

#include <CLI/CLI.hpp>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_join.h>

#include "client/flag_values.h"
#include "client/version.h"

namespace cogwheel {
namespace {

struct CommandRow {
  Command command;
  const char* name;
  const char* help;
};

constexpr CommandRow kCommands[] = {
    {Command::kGenerate, "generate", "make a video and write it to a file"},
    {Command::kSubmit, "submit", "queue a job on a server and print its name"},
    {Command::kGet, "get", "show a job"},
    {Command::kList, "list", "show all jobs, newest first"},
    {Command::kWatch, "watch", "follow a job to its end"},
    {Command::kCancel, "cancel", "cancel a job"},
    {Command::kDelete, "delete", "remove a finished job and its result"},
    {Command::kDownload, "download", "write a finished job's result to a file"},
    {Command::kHealth, "health", "exit 0 if a job submitted now would start, else 3"},
    {Command::kModels, "models", "show the models that the server knows"},
    {Command::kGroups, "groups", "show the groups and their ranks"},
};

// Builds the parser around one Arguments. Callbacks run while CLI11 parses and keep the first
// problem: CLI11's own messages name neither field nor legal values as we want them.
class Parser {
 public:
  explicit Parser(const ArgumentDefaults& defaults);

  absl::StatusOr<ParsedArguments> Parse(int argc, const char* const* argv);

 private:
  void AddRequestFlags(CLI::App& command);   // what to make
  void AddSamplingFlags(CLI::App& command);  // how to make it
  void AddRankFlags(CLI::App& command);
  void AddAccessFlags(CLI::App& command);
  void AddCommandFlags(CLI::App& app, const CommandRow& row);
  void AddWhole(CLI::App& command, const char* flag, std::optional<int32_t>& target,
                NumberRange range, const std::string& help);
  void AddText(CLI::App& command, const std::string& flag, std::string& target,
               const std::string& help, bool may_be_empty = false);
  // `use` sees the flag's text and says what is wrong with it.
  void AddChecked(CLI::App& command, const std::string& flag, const std::string& help,
                  std::function<absl::Status(const std::string&)> use);
  absl::Status CheckCommand() const;
  absl::Status CheckWhole(const CLI::App& command) const;

  CLI::App app_;
  Arguments arguments_;
  const ArgumentDefaults defaults_;
  absl::Status problem_;
};

std::string FieldOf(const std::string& flag) {
  std::string field = flag.substr(flag.rfind("--") + 2);
  for (char& c : field) c = c == '-' ? '_' : c;
  return field;
}

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
  for (const CommandRow& row : kCommands) AddCommandFlags(app_, row);
}

void Parser::AddChecked(CLI::App& command, const std::string& flag, const std::string& help,
                        std::function<absl::Status(const std::string&)> use) {
  command.add_option_function<std::string>(
      flag,
      [this, use = std::move(use)](const std::string& text) {
        const absl::Status status = use(text);
        if (problem_.ok()) problem_ = status;
      },
      help);
}

void Parser::AddWhole(CLI::App& command, const char* flag, std::optional<int32_t>& target,
                      NumberRange range, const std::string& help) {
  AddChecked(command, flag, absl::StrCat(help, ", ", std::string(range.legal)),
             [flag, &target, range](const std::string& text) {
               const auto value = ParseInt32(FieldOf(flag), text, range);
               if (value.ok()) target = *value;
               return value.status();
             });
}

void Parser::AddText(CLI::App& command, const std::string& flag, std::string& target,
                     const std::string& help, bool may_be_empty) {
  AddChecked(command, flag, help,
             [flag, &target, may_be_empty](const std::string& text) -> absl::Status {
               target = text;
               if (!text.empty() || may_be_empty) return absl::OkStatus();
               return absl::InvalidArgumentError(
                   absl::StrCat(FieldOf(flag), " '' is empty; legal is at least one character"));
             });
}

void Parser::AddRequestFlags(CLI::App& command) {
  RequestFlags& request = arguments_.request;
  AddText(command, "--prompt", request.prompt, "what to show, 1 byte to 16 KiB of UTF-8",
          /*may_be_empty=*/true);
  AddText(command, "--negative-prompt", request.negative_prompt, "what to keep away from",
          /*may_be_empty=*/true);
  AddText(command, "--image", request.image_file,
          "first frame, PNG or JPEG; required for image-to-video models");
  AddChecked(command, "--output-type", "video (default), frames or latent",
             [&request](const std::string& text) {
               const auto word = ParseWord("output_type", text, {"video", "frames", "latent"});
               if (word.ok()) request.output_type = static_cast<v1::OutputType>(*word + 1);
               return word.status();
             });
  AddText(command, "--model", request.model,
          "checkpoint folder (self-contained) or name of a served model");
}

void Parser::AddSamplingFlags(CLI::App& command) {
  RequestFlags& request = arguments_.request;
  AddWhole(command, "--frames", request.frames, {1, 0, "8k+1 or, for 1.5 models, 16k+1"},
           "frames of the video");
  AddWhole(command, "--height", request.height, {16, 0, "a multiple of 16"}, "pixels");
  AddWhole(command, "--width", request.width, {16, 0, "a multiple of 16"}, "pixels");
  AddWhole(command, "--fps", request.fps, {1, 120, "1 to 120"}, "frames per second");
  AddWhole(command, "--steps", request.steps, {1, 200, "1 to 200"}, "denoising steps");
  AddWhole(command, "--max-sequence-length", request.max_sequence_length,
           {1, 0, "1 to the model's max_text_seq_length"}, "text tokens");
  AddWhole(command, "--priority", request.priority, {0, 9, "0 to 9"}, "higher first, default 4");
  AddChecked(command, "--guidance-scale", "0 to 50; up to 1 switches guidance off",
             [&request](const std::string& text) {
               const auto value = ParseDouble("guidance_scale", text, "0 to 50");
               if (value.ok()) request.guidance_scale = *value;
               return value.status();
             });
  AddChecked(command, "--scheduler", "ddim or dpm", [&request](const std::string& text) {
    const auto word = ParseWord("scheduler", text, {"ddim", "dpm"});
    if (word.ok()) request.scheduler = static_cast<v1::Scheduler>(*word + 1);
    return word.status();
  });
  AddChecked(command, "--seed", "0 to 2^64-1; random below 2^32 if not given",
             [&request](const std::string& text) {
               const auto value = ParseSeed(text);
               if (value.ok()) request.seed = *value;
               return value.status();
             });
  AddChecked(command, "--deadline", "seconds from acceptance, up to 604800",
             [&request](const std::string& text) {
               const auto value =
                   ParseDouble("deadline", text, "above 0 and at most 604800 seconds");
               if (value.ok()) request.deadline_seconds = *value;
               return value.status();
             });
  command.add_flag("--dynamic-cfg", request.dynamic_cfg, "raise guidance along the steps");
  command.add_flag("--vae-tiling", request.vae_tiling, "decode in the reference's tiles");
}

void Parser::AddRankFlags(CLI::App& command) {
  RankFlags& ranks = arguments_.ranks;
  AddWhole(command, "--cfg-parallel", ranks.cfg_parallel, {1, 2, "1 or 2"},
           "ranks for the guidance branches");
  AddWhole(command, "--ring", ranks.ring, {1, 16, "1 to 16"}, "ranks along the attention ring");
  AddWhole(command, "--ulysses", ranks.ulysses, {1, 16, "1 to 16"}, "ranks that share the heads");
  AddChecked(command, "--device", "cpu or cuda; cuda if present", [&ranks](const std::string& t) {
    ranks.device = t;
    return ParseWord("device", t, {"cpu", "cuda"}).status();
  });
  AddChecked(command, "--dtype", "fp32, bf16 or fp16; the checkpoint's, fp32 on the CPU",
             [&ranks](const std::string& text) {
               ranks.dtype = text;
               return ParseWord("dtype", text, {"fp32", "bf16", "fp16"}).status();
             });
}

void Parser::AddAccessFlags(CLI::App& command) {
  AccessFlags& access = arguments_.access;
  AddText(command, "--tls-ca", access.tls_ca, "PEM file of who signed the server's certificate",
          /*may_be_empty=*/true);
  AddText(command, "--tls-certificate", access.tls_certificate, "PEM file to show to the server",
          /*may_be_empty=*/true);
  AddText(command, "--tls-key", access.tls_key, "PEM file of that certificate's key",
          /*may_be_empty=*/true);
  AddText(command, "--token-file", access.token_file, "file that holds the bearer token to send",
          /*may_be_empty=*/true);
}

void Parser::AddCommandFlags(CLI::App& app, const CommandRow& row) {
  CLI::App& command = *app.add_subcommand(row.name, row.help);
  command.allow_extras();
  command.callback([this, row] { arguments_.command = row.command; });
  AddChecked(command, "--server", "HOST:PORT", [this](const std::string& text) {
    arguments_.server = text;
    return CheckAddress(text);
  });
  AddAccessFlags(command);
  command.add_flag("--json", arguments_.json, "print protobuf JSON, one message a line");
  switch (row.command) {
    case Command::kGenerate:
      AddRequestFlags(command);
      AddSamplingFlags(command);
      AddRankFlags(command);
      AddText(command, "-o,--output", arguments_.output, "file to write, default video.mp4");
      break;
    case Command::kSubmit:
      AddRequestFlags(command);
      AddSamplingFlags(command);
      AddText(command, "--request-id", arguments_.request.request_id,
              "same id and request: same job");
      break;
    case Command::kList:
      command
          .add_option_function<std::vector<std::string>>(
              "--state",
              [this](const std::vector<std::string>& words) {
                for (const std::string& text : words) {
                  const auto word = ParseWord(
                      "state", text,
                      {"queued", "running", "succeeded", "failed", "cancelled", "expired"});
                  if (word.ok()) arguments_.states.push_back(static_cast<v1::JobState>(*word + 1));
                  if (problem_.ok()) problem_ = word.status();
                }
              },
              "only jobs in this state; may be repeated")
          ->delimiter(',');
      break;
    case Command::kDownload:
      AddText(command, "-o,--output", arguments_.output, "file to write, default video.mp4");
      [[fallthrough]];
    case Command::kGet:
    case Command::kWatch:
    case Command::kCancel:
    case Command::kDelete:
      command.add_option("job", arguments_.job, "jobs/ID, or ID alone");
      break;
    default:
      break;
  }
}

// One command, and nothing before it: its flags would be lost there.
absl::Status Parser::CheckCommand() const {
  std::vector<std::string> names;
  for (const CommandRow& row : kCommands) names.push_back(row.name);
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
  if (command.get_option_no_throw("job") != nullptr && arguments_.job.empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat(command.get_name(), " needs a job's name, jobs/ID or ID"));
  }
  if (arguments_.command == Command::kGenerate && arguments_.server.empty()) {
    for (const char* flag : {"--tls-ca", "--tls-certificate", "--tls-key", "--token-file"}) {
      if (command.count(flag) == 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(flag, " needs --server"));
    }
  }
  if (arguments_.command == Command::kGenerate && !arguments_.server.empty()) {
    for (const char* flag : {"--cfg-parallel", "--ring", "--ulysses", "--device", "--dtype"}) {
      if (command.count(flag) == 0) continue;
      return absl::InvalidArgumentError(absl::StrCat(
          flag, " cannot be used with --server: the server's ranks are as they were started"));
    }
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
  if (arguments_.server.empty() && arguments_.command != Command::kGenerate) {
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
