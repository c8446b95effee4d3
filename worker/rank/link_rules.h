#pragma once

#include <cstdint>
#include <string_view>

#include <absl/status/status.h>

#include "worker/rank/job_mailbox.h"

// What the thread that hears the frontend decides by itself, before the rank thread looks: tables,
// without state of their own.
namespace cogwheel {

// What any order is known by.
struct OrderHead {
  enum class Kind { kAssign, kRun, kStart, kDrop, kCancel, kStop, kShutdown, kBeat, kUnknown };
  Kind kind = Kind::kUnknown;
  int64_t epoch = 0;
};

enum class Arrival {
  kIgnored,     // of another epoch than this rank's, or no order at all
  kQueued,      // for the rank thread to decide
  kNewEpoch,    // the rank belongs to the order's epoch from now on; then queued
  kEpochOver,   // whatever the rank does, it has to leave; then queued
  kCancelsJob,  // the running job sees it at its next step
  kStopsJob,
};
// `epoch`: the rank's, 0 before its first.
Arrival OnArrival(const OrderHead& order, int64_t epoch);

// What the end of the stream means, from the status that the frontend, or the connection, gave.
LinkLost::Why WhyLost(absl::StatusCode code, std::string_view reason);

}  // namespace cogwheel
