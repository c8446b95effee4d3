#include "server/groups/group_phase.h"

#include <algorithm>
#include <array>

namespace cogwheel {
namespace {

struct Transition {
  GroupPhase from, to;
  auto operator<=>(const Transition&) const = default;
};

constexpr std::array kTransitions = {
    Transition{GroupPhase::kGathering, GroupPhase::kNumbering},  // the last rank came
    Transition{GroupPhase::kNumbering, GroupPhase::kGathering},  // one went; the others wait on
    Transition{GroupPhase::kNumbering, GroupPhase::kForming},
    Transition{GroupPhase::kForming, GroupPhase::kIdle},
    Transition{GroupPhase::kIdle, GroupPhase::kOffered},
    Transition{GroupPhase::kOffered, GroupPhase::kIdle},  // a rank refused, or it was cancelled
    Transition{GroupPhase::kOffered, GroupPhase::kRunning},
    Transition{GroupPhase::kRunning, GroupPhase::kIdle},
    // The epoch ends: a rank died, fell silent, left, or cannot go on.
    Transition{GroupPhase::kForming, GroupPhase::kGathering},
    Transition{GroupPhase::kIdle, GroupPhase::kGathering},
    Transition{GroupPhase::kOffered, GroupPhase::kGathering},
    Transition{GroupPhase::kRunning, GroupPhase::kGathering},
};

}  // namespace

bool IsLegalTransition(GroupPhase from, GroupPhase to) {
  return std::ranges::find(kTransitions, Transition{from, to}) != kTransitions.end();
}

std::string_view GroupPhaseName(GroupPhase phase) {
  switch (phase) {
    case GroupPhase::kGathering:
      return "gathering";
    case GroupPhase::kNumbering:
      return "numbering";
    case GroupPhase::kForming:
      return "forming";
    case GroupPhase::kIdle:
      return "idle";
    case GroupPhase::kOffered:
      return "offered";
    case GroupPhase::kRunning:
      return "running";
  }
  return "";
}

bool HasEpoch(GroupPhase phase) {
  return phase != GroupPhase::kGathering && phase != GroupPhase::kNumbering;
}

bool HasFormed(GroupPhase phase) { return HasEpoch(phase) && phase != GroupPhase::kForming; }

}  // namespace cogwheel
