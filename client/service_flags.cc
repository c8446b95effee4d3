// The flags of where a command runs, and of what it prints.
#include <algorithm>

#include "client/command_table.h"

namespace cogwheel {
namespace {

constexpr char kJobs[] = "Which jobs", kRanks[] = "Ranks on this machine", kOutput[] = "Output",
               kPlace[] = "Where it runs", kAccess[] = "Access to a server";
constexpr unsigned kGenerate = Bit(Command::kGenerate), kDoctor = Bit(Command::kDoctor);
constexpr unsigned kOwn = kGenerate | kDoctor;
constexpr unsigned kOnServer = ~kDoctor;
constexpr char kSideDefault[] =
    "Default 1, but on GPUs, when no side of the mesh is given, what their number suggests";

constexpr Choice<v1::JobState> kStates[] = {
    {"queued", v1::QUEUED}, {"running", v1::RUNNING},     {"succeeded", v1::SUCCEEDED},
    {"failed", v1::FAILED}, {"cancelled", v1::CANCELLED}, {"expired", v1::EXPIRED},
};

using Row = const FlagRow&;
using Text = const std::string&;

template <std::optional<int32_t> RankFlags::* kMember>
absl::Status UseSide(Row row, Text text, Arguments& arguments) {
  const auto value = ParseInt32Within(FieldOf(row), text, row.range);
  if (value.ok()) arguments.ranks.*kMember = *value;
  return value.status();
}

absl::Status UseDevice(Row row, Text text, Arguments& arguments) {
  arguments.ranks.device = text;
  return ParseWord(FieldOf(row), text, {"cpu", "cuda"}).status();
}

absl::Status UseDtype(Row row, Text text, Arguments& arguments) {
  arguments.ranks.dtype = text;
  return ParseWord(FieldOf(row), text, {"fp32", "bf16", "fp16"}).status();
}

absl::Status UseVariant(Row row, Text text, Arguments& arguments) {
  arguments.ranks.variant = text;
  return text.empty() ? RefuseEmpty(FieldOf(row)) : absl::OkStatus();
}

absl::Status UseServer(Row row, Text text, Arguments& arguments) {
  arguments.server = text;
  return CheckAddress(FieldOf(row), text);
}

// Empty as if it were not given: a variable of a script that is not set.
template <std::string AccessFlags::* kMember>
absl::Status UseAccess(Row /*row*/, Text text, Arguments& arguments) {
  arguments.access.*kMember = text;
  return absl::OkStatus();
}

absl::Status UseStates(Row row, Text text, Arguments& arguments) {
  size_t begin = 0;
  while (begin <= text.size()) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const auto state = ParseChoice(FieldOf(row), text.substr(begin, end - begin), kStates);
    if (!state.ok()) return state.status();
    arguments.states.push_back(*state);
    begin = end + 1;
  }
  return absl::OkStatus();
}

absl::Status UseLimit(Row row, Text text, Arguments& arguments) {
  const auto value = ParseInt32Within(FieldOf(row), text, row.range);
  if (value.ok()) arguments.limit = *value;
  return value.status();
}

absl::Status UseJson(Row /*row*/, Text /*text*/, Arguments& arguments) {
  arguments.json = true;
  return absl::OkStatus();
}

absl::Status UsePreviews(Row /*row*/, Text /*text*/, Arguments& arguments) {
  arguments.previews = true;
  return absl::OkStatus();
}

constexpr FlagRow kRows[] = {
    {.commands = Bit(Command::kList),
     .group = kJobs,
     .name = "--state",
     .value = "STATE",
     .words = "queued|running|succeeded|failed|cancelled|expired",
     .what = "Only jobs in this state; several with commas, or repeated",
     .range = {.legal = "queued, running, succeeded, failed, cancelled or expired"},
     .fallback = "Default all",
     .repeatable = true,
     .use = UseStates},
    {.commands = Bit(Command::kList),
     .group = kJobs,
     .name = "--limit",
     .value = "NUMBER",
     .what = "Only the newest jobs, so many; 0 = all",
     .range = {0, 1'000'000, "0 to 1000000"},
     .fallback = "Default 20, with --json 0",
     .use = UseLimit},
    {.commands = kDoctor,
     .group = "The model",
     .name = "--model",
     .value = "MODEL",
     .what = "Checkpoint: a folder, or ORG/NAME in the hub's local cache",
     .fallback = "Default the shipped model",
     .use = UseText<&RequestFlags::model>},
    {.commands = kGenerate,
     .group = kPlace,
     .name = "--server",
     .value = "HOST:PORT",
     .what = "A running cogwheel-server. Without it a server and ranks are started here for this "
             "one job, and end with it; the flags of the ranks go only without it",
     .fallback = "No default",
     .use = UseServer},
    {.commands = kOnServer & ~kGenerate,
     .group = kPlace,
     .name = "--server",
     .value = "HOST:PORT",
     .what = "A running cogwheel-server",
     .fallback = "Default $COGWHEEL_SERVER, else 127.0.0.1:50051",
     .use = UseServer},

    {.commands = kOwn,
     .group = kRanks,
     .name = "--ulysses",
     .value = "NUMBER",
     .what = "Ranks that share the attention heads. The sides of the mesh, --ulysses, --ring and "
             "--cfg-parallel, multiply to the number of ranks, at most 16",
     .range = {1, 16, "1 to 16"},
     .fallback = kSideDefault,
     .use = UseSide<&RankFlags::ulysses>},
    {.commands = kOwn,
     .group = kRanks,
     .name = "--ring",
     .value = "NUMBER",
     .what = "Ranks in the ring that passes keys and values on",
     .range = {1, 16, "1 to 16"},
     .fallback = kSideDefault,
     .use = UseSide<&RankFlags::ring>},
    {.commands = kOwn,
     .group = kRanks,
     .name = "--cfg-parallel",
     .value = "NUMBER",
     .what = "Ranks for the two guidance branches",
     .range = {1, 2, "1 or 2"},
     .fallback = kSideDefault,
     .use = UseSide<&RankFlags::cfg_parallel>},
    {.commands = kOwn,
     .group = kRanks,
     .name = "--device",
     .value = "cpu|cuda",
     .what = "What ranks compute on",
     .fallback = "Default cuda if present",
     .use = UseDevice},
    {.commands = kOwn,
     .group = kRanks,
     .name = "--dtype",
     .value = "fp32|bf16|fp16",
     .what = "What ranks compute in",
     .fallback = "Default fp32 on the CPU; on a GPU bf16 for models with rotary embeddings, else "
                 "the checkpoint's",
     .use = UseDtype},
    {.commands = kOwn,
     .group = kRanks,
     .name = "--variant",
     .value = "NAME",
     .what = "Of the weight files: fp16 for *.fp16.safetensors",
     .fallback = "Default that of cogwheel.json, else none",
     .use = UseVariant},

    {.commands = kOnServer,
     .group = kOutput,
     .name = "--json",
     .what = "Print protobuf JSON, one message a line",
     .fallback = "Off by default",
     .use = UseJson},
    {.commands = kGenerate | Bit(Command::kWatch),
     .group = kOutput,
     .name = "--previews",
     .what = "With --json: print the previews with their JPEG bytes",
     .fallback = "Off by default",
     .use = UsePreviews},
    {.commands = kDoctor,
     .group = kOutput,
     .name = "--json",
     .what = "Print one JSON document, for a bug report",
     .fallback = "Off by default",
     .use = UseJson},

    {.commands = kOnServer,
     .group = kAccess,
     .name = "--token-file",
     .value = "FILE",
     .what = "Holds the bearer token to send",
     .fallback = "Default $COGWHEEL_TOKEN_FILE, else none",
     .use = UseAccess<&AccessFlags::token_file>},
    {.commands = kOnServer,
     .group = kAccess,
     .name = "--tls-ca",
     .value = "FILE",
     .what = "PEM of who signed the server's certificate",
     .fallback = "Default $COGWHEEL_TLS_CA, else none: plaintext",
     .use = UseAccess<&AccessFlags::tls_ca>},
    {.commands = kOnServer,
     .group = kAccess,
     .name = "--tls-certificate",
     .value = "FILE",
     .what = "PEM chain to show to the server",
     .fallback = "Default $COGWHEEL_TLS_CERTIFICATE, else none",
     .use = UseAccess<&AccessFlags::tls_certificate>},
    {.commands = kOnServer,
     .group = kAccess,
     .name = "--tls-key",
     .value = "FILE",
     .what = "PEM key of that certificate",
     .fallback = "Default $COGWHEEL_TLS_KEY, else none",
     .use = UseAccess<&AccessFlags::tls_key>},
};

}  // namespace

std::span<const FlagRow> ServiceFlagRows() { return kRows; }

}  // namespace cogwheel
