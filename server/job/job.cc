#include "server/job/job.h"

#include <array>

namespace cogwheel {
namespace {

struct Transition {
  JobState from, to;
};

constexpr std::array kTransitions = {
    Transition{JobState::kQueued, JobState::kRunning},
    Transition{JobState::kQueued, JobState::kFailed},
    Transition{JobState::kQueued, JobState::kCancelled},
    Transition{JobState::kQueued, JobState::kExpired},
    Transition{JobState::kRunning, JobState::kQueued},
    Transition{JobState::kRunning, JobState::kSucceeded},
    Transition{JobState::kRunning, JobState::kFailed},
    Transition{JobState::kRunning, JobState::kCancelled},
    Transition{JobState::kRunning, JobState::kExpired},
};

}  // namespace

bool IsTerminal(JobState state) {
  switch (state) {
    case JobState::kQueued:
    case JobState::kRunning:
      return false;
    case JobState::kSucceeded:
    case JobState::kFailed:
    case JobState::kCancelled:
    case JobState::kExpired:
      return true;
  }
  return false;
}

bool IsLegalTransition(JobState from, JobState to) {
  for (const Transition& legal : kTransitions) {
    if (legal.from == from && legal.to == to) return true;
  }
  return false;
}

std::string JobStateName(JobState state) {
  switch (state) {
    case JobState::kQueued:
      return "QUEUED";
    case JobState::kRunning:
      return "RUNNING";
    case JobState::kSucceeded:
      return "SUCCEEDED";
    case JobState::kFailed:
      return "FAILED";
    case JobState::kCancelled:
      return "CANCELLED";
    case JobState::kExpired:
      return "EXPIRED";
  }
  return "";
}

int64_t QueuedBytes(const Job& job) {
  return static_cast<int64_t>(job.request.ByteSizeLong()) + job.image_bytes;
}

}  // namespace cogwheel
