// The flags of what to make: of `generate` and `submit`, and where its result goes.
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/command_line.h"
#include "client/command_table.h"

namespace cogwheel {
namespace {

constexpr char kVideo[] = "The video", kSampling[] = "How it is made", kJob[] = "The job";
constexpr unsigned kMake = Bit(Command::kGenerate) | Bit(Command::kSubmit);
constexpr char kTheModels[] = "Default the model's";

constexpr Choice<v1::OutputType> kOutputTypes[] = {
    {"video", v1::OUTPUT_TYPE_VIDEO},
    {"frames", v1::OUTPUT_TYPE_FRAMES},
    {"latent", v1::OUTPUT_TYPE_LATENT},
};
constexpr Choice<v1::Scheduler> kSchedulers[] = {
    {"ddim", v1::SCHEDULER_DDIM},
    {"dpm", v1::SCHEDULER_DPM},
};

using Row = const FlagRow&;
using Text = const std::string&;

template <std::optional<int32_t> RequestFlags::* kMember>
absl::Status UseWhole(Row row, Text text, Arguments& arguments) {
  const auto value = ParseInt32(FieldOf(row), text, row.range);
  if (value.ok()) arguments.request.*kMember = *value;
  return value.status();
}

template <std::optional<double> RequestFlags::* kMember>
absl::Status UseNumber(Row row, Text text, Arguments& arguments) {
  const auto value = ParseDouble(FieldOf(row), text, row.range.legal);
  if (value.ok()) arguments.request.*kMember = *value;
  return value.status();
}

// One that may be empty: ValidateRequest says more.
template <std::string RequestFlags::* kMember>
absl::Status UseAnyText(Row /*row*/, Text text, Arguments& arguments) {
  arguments.request.*kMember = text;
  return absl::OkStatus();
}

template <bool RequestFlags::* kMember>
absl::Status UseSwitch(Row /*row*/, Text /*text*/, Arguments& arguments) {
  arguments.request.*kMember = true;
  return absl::OkStatus();
}

absl::Status UseOutput(Row row, Text text, Arguments& arguments) {
  arguments.output = text;
  return text.empty() ? RefuseEmpty(FieldOf(row)) : absl::OkStatus();
}

absl::Status UseOutputType(Row row, Text text, Arguments& arguments) {
  const auto type = ParseChoice(FieldOf(row), text, kOutputTypes);
  if (type.ok()) arguments.request.output_type = *type;
  return type.status();
}

absl::Status UseScheduler(Row row, Text text, Arguments& arguments) {
  const auto scheduler = ParseChoice(FieldOf(row), text, kSchedulers);
  if (scheduler.ok()) arguments.request.scheduler = *scheduler;
  return scheduler.status();
}

absl::Status UseSeed(Row /*row*/, Text text, Arguments& arguments) {
  const auto value = ParseSeed(text);
  if (value.ok()) arguments.request.seed = *value;  // none: random
  return value.status();
}

absl::Status UseLabel(Row /*row*/, Text text, Arguments& arguments) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("label '", ShownArgument(text), "' is not legal; legal is KEY=VALUE"));
  }
  const bool first =
      arguments.request.labels.emplace(text.substr(0, equals), text.substr(equals + 1)).second;
  if (first) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("label ", ShownArgument(text.substr(0, equals)),
                                                 " is given twice; legal is once a key"));
}

constexpr FlagRow kRows[] = {
    {.commands = kMake,
     .group = kVideo,
     .name = "--prompt",
     .value = "TEXT",
     .what = "What to show. Put it in quotation marks",
     .range = {.legal = "1 byte to 16 KiB of UTF-8"},
     .required = true,
     .use = UseAnyText<&RequestFlags::prompt>},
    {.commands = Bit(Command::kGenerate) | Bit(Command::kDownload),
     .group = kVideo,
     .name = "--output",
     .letter = "-o",
     .value = "FILE",
     .what = "File to write. Its suffix is .mp4, of frames and latents .safetensors, or none; - "
             "is standard output",
     .fallback = "Default video.mp4 or video.safetensors",
     .use = UseOutput},
    {.commands = Bit(Command::kGenerate),
     .group = kVideo,
     .name = "--model",
     .value = "MODEL",
     .what = "Checkpoint: a folder, or ORG/NAME in the hub's local cache. With --server the name "
             "of a model that cogwheel models shows",
     .fallback = "Default the shipped model; with --server the server's first",
     .use = UseText<&RequestFlags::model>},
    {.commands = Bit(Command::kSubmit),
     .group = kVideo,
     .name = "--model",
     .value = "NAME",
     .what = "Name of a model that cogwheel models shows",
     .fallback = "Default the server's first",
     .use = UseText<&RequestFlags::model>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--frames",
     .value = "NUMBER",
     .what = "Frames of the video",
     .range = {1, 0, "8k+1 or, for 1.5 models, 16k+1"},
     .fallback = kTheModels,
     .use = UseWhole<&RequestFlags::frames>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--height",
     .value = "PIXELS",
     .what = "Height of the video",
     .range = {16, 0, "a multiple of 16"},
     .fallback = kTheModels,
     .use = UseWhole<&RequestFlags::height>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--width",
     .value = "PIXELS",
     .what = "Width of the video",
     .range = {16, 0, "a multiple of 16"},
     .fallback = kTheModels,
     .use = UseWhole<&RequestFlags::width>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--fps",
     .value = "NUMBER",
     .what = "Frames a second",
     .range = {1, 120, "1 to 120"},
     .fallback = kTheModels,
     .use = UseWhole<&RequestFlags::fps>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--image",
     .value = "FILE",
     .what = "First frame of an image-to-video model, which requires it: PNG, JPEG or WebP, "
             "turned as its orientation tag says",
     .range = {.legal = "at most 16 MiB"},
     .fallback = "No default",
     .use = UseText<&RequestFlags::image_file>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--negative-prompt",
     .value = "TEXT",
     .what = "What to keep away from",
     .range = {.legal = "at most 16 KiB of UTF-8"},
     .fallback = "Default empty",
     .use = UseAnyText<&RequestFlags::negative_prompt>},
    {.commands = kMake,
     .group = kVideo,
     .name = "--output-type",
     .value = "video|frames|latent",
     .what = "The result: an MP4, or a safetensors file of frames or of the final latents",
     .fallback = "Default video",
     .use = UseOutputType},

    {.commands = kMake,
     .group = kSampling,
     .name = "--steps",
     .value = "NUMBER",
     .what = "Denoising steps: more are slower and often better",
     .range = {1, 0, "1 to 200"},
     .fallback = kTheModels,
     .use = UseWhole<&RequestFlags::steps>},
    {.commands = kMake,
     .group = kSampling,
     .name = "--seed",
     .value = "NUMBER",
     .what = "The same seed makes the same video",
     .range = {.legal = "0 to 18446744073709551615"},
     .fallback = "Default -1: random below 4294967296",
     .use = UseSeed},
    {.commands = kMake,
     .group = kSampling,
     .name = "--guidance-scale",
     .value = "NUMBER",
     .what = "How closely to follow the prompt; up to 1 switches guidance off",
     .range = {.legal = "0 to 50"},
     .fallback = kTheModels,
     .use = UseNumber<&RequestFlags::guidance_scale>},
    {.commands = kMake,
     .group = kSampling,
     .name = "--scheduler",
     .value = "ddim|dpm",
     .what = "How a step is taken",
     .fallback = kTheModels,
     .use = UseScheduler},
    {.commands = kMake,
     .group = kSampling,
     .name = "--dynamic-cfg",
     .what = "Raise guidance along the steps",
     .fallback = "Off by default",
     .use = UseSwitch<&RequestFlags::dynamic_cfg>},
    {.commands = kMake,
     .group = kSampling,
     .name = "--max-sequence-length",
     .value = "TOKENS",
     .what = "Tokens of the prompt that are read",
     .range = {1, 0, "1 to the model's most"},
     .fallback = "Default the model's most",
     .use = UseWhole<&RequestFlags::max_sequence_length>},
    {.commands = kMake,
     .group = kSampling,
     .name = "--vae-tiling",
     .what = "Decode in the reference's tiles, with less memory",
     .fallback = "Off by default",
     .use = UseSwitch<&RequestFlags::vae_tiling>},

    {.commands = kMake,
     .group = kJob,
     .name = "--deadline",
     .value = "SECONDS",
     .what = "Give the job up when it is not done so long after its acceptance",
     .range = {.legal = "above 0 and at most 604800 seconds"},
     .fallback = "No default",
     .use = UseNumber<&RequestFlags::deadline_seconds>},
    {.commands = kMake,
     .group = kJob,
     .name = "--priority",
     .value = "NUMBER",
     .what = "Higher ones run first",
     .range = {0, 9, "0 to 9"},
     .fallback = "Default 4",
     .use = UseWhole<&RequestFlags::priority>},
    {.commands = Bit(Command::kSubmit),
     .group = kJob,
     .name = "--request-id",
     .value = "TEXT",
     .what = "The same id and request are the same job, however often they are sent",
     .range = {.legal = "at most 128 bytes"},
     .fallback = "No default",
     .use = UseText<&RequestFlags::request_id>},
    {.commands = Bit(Command::kSubmit),
     .group = kJob,
     .name = "--label",
     .value = "KEY=VALUE",
     .what = "Kept with the job, for its owner's use; may be repeated",
     .range = {.legal = "at most 16; a key of 1 to 63, a value of at most 255 bytes"},
     .fallback = "No default",
     .repeatable = true,
     .use = UseLabel},
};

}  // namespace

std::span<const FlagRow> RequestFlagRows() { return kRows; }

}  // namespace cogwheel
