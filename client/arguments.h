#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <absl/status/statusor.h>
#include <google/protobuf/timestamp.pb.h>

#include "cogwheel/v1/video_service.pb.h"

// The command line as plain values.
namespace cogwheel {

enum class Command {
  kGenerate,
  kSubmit,
  kGet,
  kList,
  kWatch,
  kCancel,
  kDelete,
  kDownload,
  kHealth,
  kModels,
  kGroups,
  kDoctor,
  kUsage,  // from here on an operator's
  kDrain,
  kResume,
  kPause,
  kUnpause,
  kRequeue,
  kFail,
  kRetire,
  kPurge,
  kBackup,
  kLogLevel,
};

// What `generate` and `submit` ask for. Not given = not set; limits are checked elsewhere.
struct RequestFlags {
  std::string prompt;
  std::string negative_prompt;
  std::string image_file;
  v1::OutputType output_type = v1::OUTPUT_TYPE_UNSPECIFIED;  // = video
  std::string model;  // a folder in self-contained mode, else a model's name
  std::optional<int32_t> frames, height, width, fps, steps, max_sequence_length, priority;
  std::optional<double> guidance_scale, deadline_seconds;
  std::optional<v1::Scheduler> scheduler;
  std::optional<uint64_t> seed;
  bool dynamic_cfg = false;
  bool vae_tiling = false;
  std::string request_id;
  std::map<std::string, std::string> labels;
};

// Self-contained mode only.
struct RankFlags {
  std::optional<int32_t> cfg_parallel, ring, ulysses;  // none: the worker chooses, by its GPUs
  std::string device, dtype, variant;                  // empty: the worker chooses
};

// How to speak to a server that is not open to all: files.
struct AccessFlags {
  std::string tls_ca;                    // empty = plaintext
  std::string tls_certificate, tls_key;  // for servers that ask for one
  std::string token_file;
};

// What operators' commands are about.
struct OperateFlags {
  std::string name;  // behind the command: of a group, a model, a backup; a level
  std::string model, tenant, reason;
  std::optional<google::protobuf::Timestamp> from, to, before;
};

struct Arguments {
  Command command = Command::kGenerate;
  std::string server;  // HOST:PORT; empty: `generate` is self-contained, `doctor` always is
  AccessFlags access;
  bool json = false;
  bool previews = false;  // in what `json` prints
  RequestFlags request;
  RankFlags ranks;
  std::string output;  // empty: video.mp4, or video.safetensors for what is no video
  std::string job;     // as typed
  OperateFlags operate;
  std::vector<v1::JobState> states;  // `list --state`
  std::optional<int32_t> limit;      // `list --limit`; 0 = all
};

// Arguments, or a text that answers --help or --version.
struct ParsedArguments {
  std::optional<Arguments> arguments;
  std::string answer;
};

// What the environment gives where a flag is missing.
struct ArgumentDefaults {
  std::string server;  // of every command but `generate`
  AccessFlags access;
};

// INVALID_ARGUMENT, in one line: the flag, its value and what is legal.
absl::StatusOr<ParsedArguments> ParseArguments(int argc, const char* const* argv,
                                               const ArgumentDefaults& defaults);

}  // namespace cogwheel
