#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "server/job/job.h"
#include "server/job/needs.h"
#include "server/schedule/cost_model.h"

namespace cogwheel {

// What the order of the queue depends on.
struct QueuedJob {
  using Time = std::chrono::steady_clock::time_point;

  std::string name;
  std::string model;
  std::string model_digest;  // of the checkpoint that it is for; empty: any
  std::string tenant;
  int64_t epoch = 0;    // of the attempt before
  int32_t attempt = 0;  // that it has had
  int priority = 0;     // higher first
  Capabilities needs;   // of the group that runs it
  JobSize size;
  int64_t bytes = 0;   // of its prompts and picture
  double seconds = 0;  // that it should take; 0 = not known yet
  Time arrival{};
  std::optional<Time> deadline;
  double deadline_seconds = 0;  // as it was asked for; 0 = none
  int64_t result_bytes = 0;     // that its result takes at most
};

QueuedJob ToQueuedJob(const Job& job, const CostModel& costs, const Clock& clock);

}  // namespace cogwheel
