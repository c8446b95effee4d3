#include "worker/rank/rank_state.h"

#include <cstdlib>
#include <string>

#include "base/log.h"

namespace cogwheel {

std::string_view StateName(RankState state) {
  switch (state) {
    case RankState::kWaiting:
      return "waiting";
    case RankState::kJoining:
      return "joining";
    case RankState::kIdle:
      return "idle";
    case RankState::kPlanned:
      return "planned";
    case RankState::kRunning:
      return "running";
    case RankState::kLeaving:
      return "leaving";
  }
  return "unknown";
}

bool MayFollow(RankState from, RankState to) {
  switch (from) {
    case RankState::kWaiting:
      return to == RankState::kJoining || to == RankState::kLeaving;
    case RankState::kJoining:
      return to == RankState::kIdle || to == RankState::kLeaving;
    case RankState::kIdle:
      return to == RankState::kPlanned || to == RankState::kLeaving;
    case RankState::kPlanned:  // dropped; or another offer took its place
      return to == RankState::kRunning || to == RankState::kIdle || to == RankState::kPlanned ||
             to == RankState::kLeaving;
    case RankState::kRunning:
      return to == RankState::kIdle || to == RankState::kLeaving;
    case RankState::kLeaving:
      break;
  }
  return false;
}

void RankLife::Enter(RankState next) {
  if (!MayFollow(state_, next)) {
    Log(LogLevel::kError, "a rank's state may not follow",
        {{"from", std::string(StateName(state_))}, {"to", std::string(StateName(next))}});
    std::abort();
  }
  state_ = next;
}

}  // namespace cogwheel
