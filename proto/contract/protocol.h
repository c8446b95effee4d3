#pragma once

#include <algorithm>
#include <array>
#include <string_view>

// The protocol of rank_control.proto: what both of its ends must agree on. A rank says which it
// speaks and which is the oldest that it still speaks, so that a later one can be spoken to in
// ours.
namespace cogwheel {

inline constexpr int kProtocol = 2;
inline constexpr int kOldestProtocol = kProtocol - 1;  // n and n - 1 work both ways

// Reasons (ErrorInfo) of the status by which a frontend ends the stream of a rank that it would
// take again in another epoch; with any other the rank takes the frontend for gone, or itself for
// refused.
inline constexpr char kGroupLost[] = "GROUP_LOST", kRankGone[] = "RANK_GONE",
                      kRankReplaced[] = "RANK_REPLACED", kRankSilent[] = "RANK_SILENT",
                      kRankPresent[] = "RANK_PRESENT";

// Reasons of JobDone. The last two a job has by itself: it fails, whatever becomes of the epoch.
inline constexpr char kOutOfStepReason[] = "OUT_OF_STEP", kOutOfMemoryReason[] = "OUT_OF_MEMORY",
                      kNotFiniteReason[] = "NOT_FINITE";

inline bool IsSentAway(std::string_view reason) {
  constexpr std::array<std::string_view, 5> kReasons = {kGroupLost, kRankGone, kRankReplaced,
                                                        kRankSilent, kRankPresent};
  return std::ranges::find(kReasons, reason) != kReasons.end();
}

}  // namespace cogwheel
