#pragma once

#include <string_view>

namespace cogwheel {

// Where a group stands.
enum class GroupPhase {
  kGathering,  // ranks are missing
  kNumbering,  // all are here; the store is asked for an epoch
  kForming,    // they know their places, meet and load
  kIdle,       // all have formed
  kOffered,    // RunJob is sent; not all have answered
  kRunning,    // all have agreed, StartJob is sent
};

// The table in group_phase.cc, which is all that a group may do.
bool IsLegalTransition(GroupPhase from, GroupPhase to);

std::string_view GroupPhaseName(GroupPhase phase);

// Its ranks belong to an epoch: whoever goes ends it.
bool HasEpoch(GroupPhase phase);

// It is there for jobs, or has one.
bool HasFormed(GroupPhase phase);

}  // namespace cogwheel
