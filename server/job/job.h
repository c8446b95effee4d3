#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "cogwheel/v1/video_service.pb.h"

// A job as the frontend keeps it, and the one table of its legal transitions.
namespace cogwheel {

enum class JobState { kQueued, kRunning, kSucceeded, kFailed, kCancelled, kExpired };

bool IsTerminal(JobState state);
// RUNNING -> QUEUED is a new attempt to come. A terminal state never changes.
bool IsLegalTransition(JobState from, JobState to);
std::string JobStateName(JobState state);  // "QUEUED", as in the public API

struct JobError {
  absl::StatusCode code = absl::StatusCode::kOk;
  std::string reason;   // UPPER_SNAKE_CASE
  std::string message;  // one line
};

// A finished result, named by its content.
struct Artefact {
  int64_t size_bytes = 0;
  std::string sha256;  // lower-case hex
  std::string media_type;
};

struct StageSeconds {
  double text_encode = 0;
  double denoise = 0;
  double decode = 0;
  double encode = 0;
};

struct Job {
  using WallTime = std::chrono::system_clock::time_point;

  std::string name;  // jobs/<ULID>: names order as creation times
  std::string tenant;
  JobState state = JobState::kQueued;
  int32_t attempt = 0;  // grows with every claim and every restart; with `epoch` it fences
  int64_t epoch = 0;
  int32_t charges = 0;  // lost attempts that the job itself may have caused
  std::string group;
  v1::GenerateRequest request;        // resolved; without the image
  int64_t image_bytes = 0;            // 0 when there is none, or it is an input that is kept
  std::string image_sha256;           // of the InputStore; empty when there is none
  std::string model_digest;           // that the request was checked against; empty: any will do
  std::vector<std::string> warnings;  // what was changed or cut, one line each
  bool cancel_requested = false;
  bool held = false;  // lives while somebody holds it
  WallTime create_time{};
  std::optional<WallTime> start_time;  // of the last attempt
  std::optional<WallTime> end_time;
  JobError error;  // when FAILED, CANCELLED or EXPIRED; before that, why the last attempt was lost
  std::optional<Artefact> result;  // when SUCCEEDED
  bool result_expired = false;     // past its retention: the bytes are gone
  StageSeconds stage_seconds;
  int64_t last_sequence = 0;  // of its terminal event
};

// What a queued job holds in memory: prompts and image.
int64_t QueuedBytes(const Job& job);

}  // namespace cogwheel
