#pragma once

#include <string_view>

namespace cogwheel {

// Where a rank stands in its life; the frontend's view of a whole group is RankGroup::Phase.
enum class RankState {
  kWaiting,  // for a place in a group
  kJoining,  // meets its peers, then loads its model
  kIdle,     // in the group, without a job
  kPlanned,  // has agreed to a job and waits for its start
  kRunning,  // within a job, among its exchanges
  kLeaving,  // the process is about to end
};

std::string_view StateName(RankState state);

// The life's table: which state may follow which.
bool MayFollow(RankState from, RankState to);

// A rank's state, changed along the table only. Owned by the rank thread.
class RankLife {
 public:
  RankState state() const { return state_; }
  // A step that is not in the table is this program's fault, whatever was ordered: it is logged
  // with both names, and the process aborts.
  void Enter(RankState next);

 private:
  RankState state_ = RankState::kWaiting;
};

}  // namespace cogwheel
