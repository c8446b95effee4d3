#include "client/command_flags.h"

#include <functional>
#include <optional>
#include <utility>

#include <CLI/CLI.hpp>

#include <absl/strings/str_cat.h>

#include "client/flag_values.h"

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
    {Command::kDoctor, "doctor",
     "say what would stop a checkpoint on this machine, and what to do"},
};

constexpr Choice<v1::OutputType> kOutputTypes[] = {
    {"video", v1::OUTPUT_TYPE_VIDEO},
    {"frames", v1::OUTPUT_TYPE_FRAMES},
    {"latent", v1::OUTPUT_TYPE_LATENT},
};
constexpr Choice<v1::Scheduler> kSchedulers[] = {
    {"ddim", v1::SCHEDULER_DDIM},
    {"dpm", v1::SCHEDULER_DPM},
};
constexpr Choice<v1::JobState> kStates[] = {
    {"queued", v1::QUEUED}, {"running", v1::RUNNING},     {"succeeded", v1::SUCCEEDED},
    {"failed", v1::FAILED}, {"cancelled", v1::CANCELLED}, {"expired", v1::EXPIRED},
};

constexpr char kOutputHelp[] =
    "file to write, its suffix .mp4 or, of frames and latents, .safetensors, or none; - is "
    "standard "
    "output; default video.mp4 or video.safetensors";

// Adds flags; what it leaves behind in CLI11 refers to `arguments` and `problem` alone.
class CommandFlags {
 public:
  CommandFlags(Arguments& arguments, absl::Status& problem)
      : arguments_(arguments), problem_(problem) {}
  void Add(CLI::App& app, const CommandRow& row);

 private:
  void AddRequestFlags(CLI::App& command);   // what to make
  void AddSamplingFlags(CLI::App& command);  // how to make it
  void AddRankFlags(CLI::App& command);
  void AddServerFlags(CLI::App& command);
  void AddStateFlag(CLI::App& command);
  void AddDoctorFlags(CLI::App& command);
  void AddWhole(CLI::App& command, const char* flag, std::optional<int32_t>& target,
                NumberRange range, const std::string& help);
  void AddText(CLI::App& command, const std::string& flag, std::string& target,
               const std::string& help, bool may_be_empty = false);
  // `use` sees the flag's text and says what is wrong with it.
  void AddChecked(CLI::App& command, const std::string& flag, const std::string& help,
                  std::function<absl::Status(const std::string&)> use);

  Arguments& arguments_;
  absl::Status& problem_;
};

std::string FieldOf(const std::string& flag) {
  std::string field = flag.substr(flag.rfind("--") + 2);
  for (char& c : field) c = c == '-' ? '_' : c;
  return field;
}

void CommandFlags::AddChecked(CLI::App& command, const std::string& flag, const std::string& help,
                              std::function<absl::Status(const std::string&)> use) {
  command.add_option_function<std::string>(
      flag,
      [&problem = problem_, use = std::move(use)](const std::string& text) {
        const absl::Status status = use(text);
        if (problem.ok()) problem = status;
      },
      help);
}

void CommandFlags::AddWhole(CLI::App& command, const char* flag, std::optional<int32_t>& target,
                            NumberRange range, const std::string& help) {
  AddChecked(command, flag, absl::StrCat(help, ", ", std::string(range.legal)),
             [flag, &target, range](const std::string& text) {
               const auto value = ParseInt32(FieldOf(flag), text, range);
               if (value.ok()) target = *value;
               return value.status();
             });
}

void CommandFlags::AddText(CLI::App& command, const std::string& flag, std::string& target,
                           const std::string& help, bool may_be_empty) {
  AddChecked(command, flag, help,
             [flag, &target, may_be_empty](const std::string& text) -> absl::Status {
               target = text;
               if (!text.empty() || may_be_empty) return absl::OkStatus();
               return absl::InvalidArgumentError(
                   absl::StrCat(FieldOf(flag), " '' is empty; legal is at least one character"));
             });
}

void CommandFlags::AddRequestFlags(CLI::App& command) {
  RequestFlags& request = arguments_.request;
  AddText(command, "--prompt", request.prompt, "what to show, 1 byte to 16 KiB of UTF-8",
          /*may_be_empty=*/true);
  AddText(command, "--negative-prompt", request.negative_prompt, "what to keep away from",
          /*may_be_empty=*/true);
  AddText(command, "--image", request.image_file,
          "first frame, PNG, JPEG or WebP, turned as its orientation tag says; required for "
          "image-to-video models");
  AddChecked(command, "--output-type", "video (default), frames or latent",
             [&request](const std::string& text) {
               const auto type = ParseChoice("output_type", text, kOutputTypes);
               if (type.ok()) request.output_type = *type;
               return type.status();
             });
  AddText(command, "--model", request.model,
          "self-contained: checkpoint folder, or org/name in the hub's local cache; default the "
          "shipped model. With --server: name of a served model, default the server's");
}

void CommandFlags::AddSamplingFlags(CLI::App& command) {
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
    const auto scheduler = ParseChoice("scheduler", text, kSchedulers);
    if (scheduler.ok()) request.scheduler = *scheduler;
    return scheduler.status();
  });
  AddChecked(command, "--seed", "0 to 2^64-1; default -1: random below 2^32",
             [&request](const std::string& text) {
               const auto value = ParseSeed(text);
               if (value.ok()) request.seed = *value;  // none: random
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

void CommandFlags::AddRankFlags(CLI::App& command) {
  RankFlags& ranks = arguments_.ranks;
  AddWhole(command, "--cfg-parallel", ranks.cfg_parallel, {1, 2, "1 or 2"},
           "ranks for the guidance branches");
  AddWhole(command, "--ring", ranks.ring, {1, 16, "1 to 16"}, "ranks along the attention ring");
  AddWhole(command, "--ulysses", ranks.ulysses, {1, 16, "1 to 16"}, "ranks that share the heads");
  AddChecked(command, "--device", "cpu or cuda; cuda if present", [&ranks](const std::string& t) {
    ranks.device = t;
    return ParseWord("device", t, {"cpu", "cuda"}).status();
  });
  AddText(command, "--variant", ranks.variant,
          "of the weight files: fp16 for *.fp16.safetensors; default cogwheel.json's, else none");
  AddChecked(command, "--dtype",
             "fp32, bf16 or fp16; fp32 on the CPU, on a GPU bf16 for models with rotary "
             "embeddings, else the checkpoint's",
             [&ranks](const std::string& text) {
               ranks.dtype = text;
               return ParseWord("dtype", text, {"fp32", "bf16", "fp16"}).status();
             });
}

void CommandFlags::AddServerFlags(CLI::App& command) {
  AddChecked(command, "--server", "HOST:PORT", [&arguments = arguments_](const std::string& text) {
    arguments.server = text;
    return CheckAddress(text);
  });
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

void CommandFlags::AddStateFlag(CLI::App& command) {
  const auto use = [&states = arguments_.states,
                    &problem = problem_](const std::vector<std::string>& words) {
    for (const std::string& text : words) {
      const auto state = ParseChoice("state", text, kStates);
      if (state.ok()) states.push_back(*state);
      if (problem.ok()) problem = state.status();
    }
  };
  command
      .add_option_function<std::vector<std::string>>("--state", use,
                                                     "only jobs in this state; may be repeated")
      ->delimiter(',');
}

void CommandFlags::AddDoctorFlags(CLI::App& command) {
  AddText(command, "--model", arguments_.request.model,
          "checkpoint to look at, as for generate; default the shipped model");
  AddRankFlags(command);
  command.add_flag("--json", arguments_.json, "print one JSON document, for a bug report");
}

void CommandFlags::Add(CLI::App& app, const CommandRow& row) {
  CLI::App& command = *app.add_subcommand(row.name, row.help);
  command.allow_extras();
  command.callback([&arguments = arguments_, row] { arguments.command = row.command; });
  if (row.command == Command::kDoctor) return AddDoctorFlags(command);
  AddServerFlags(command);
  command.add_flag("--json", arguments_.json, "print protobuf JSON, one message a line");
  switch (row.command) {
    case Command::kGenerate:
      AddRequestFlags(command);
      AddSamplingFlags(command);
      AddRankFlags(command);
      AddText(command, "-o,--output", arguments_.output, kOutputHelp);
      break;
    case Command::kSubmit:
      AddRequestFlags(command);
      AddSamplingFlags(command);
      AddText(command, "--request-id", arguments_.request.request_id,
              "same id and request: same job");
      break;
    case Command::kList:
      AddStateFlag(command);
      break;
    case Command::kDownload:
      AddText(command, "-o,--output", arguments_.output, kOutputHelp);
      [[fallthrough]];
    case Command::kGet:
    case Command::kWatch:
    case Command::kCancel:
    case Command::kDelete:
      command.add_option("job", arguments_.job, "jobs/ID, or ID alone");
      break;
    case Command::kHealth:
    case Command::kModels:
    case Command::kGroups:
    case Command::kDoctor:
      break;
  }
}

}  // namespace

std::vector<std::string> CommandNames() {
  std::vector<std::string> names;
  for (const CommandRow& row : kCommands) names.push_back(row.name);
  return names;
}

void AddCommands(CLI::App& app, Arguments& arguments, absl::Status& problem) {
  for (const CommandRow& row : kCommands) CommandFlags(arguments, problem).Add(app, row);
}

}  // namespace cogwheel
