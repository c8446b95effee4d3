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

bool IsTerminal(JobState state) { return state >= JobState::kSucceeded; }

bool IsLegalTransition(JobState from, JobState to) {
  for (const Transition& legal : kTransitions) {
    if (legal.from == from && legal.to == to) return true;
  }
  return false;
}

std::string JobStateName(JobState state) {
  constexpr std::array kNames = {"QUEUED", "RUNNING",   "SUCCEEDED",
                                 "FAILED", "CANCELLED", "EXPIRED"};
  return kNames[static_cast<size_t>(state)];
}

int64_t QueuedBytes(const Job& job) {
  return static_cast<int64_t>(job.request.ByteSizeLong()) + job.image_bytes;
}

}  // namespace cogwheel
