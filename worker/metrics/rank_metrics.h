#pragma once

#include <memory>
#include <string>

#include "base/meters.h"

namespace cogwheel {

// All metrics of a rank, by the names in their definition (rank_metrics.cc). One per process.
struct RankMetrics {
  explicit RankMetrics(std::shared_ptr<prometheus::Registry> registry);

  const std::shared_ptr<prometheus::Registry> registry;
  GaugeMeter build_info;  // version, nccl
  GaugeMeter ready;

  CounterMeter pipeline_steps_total;               // model, group, rank
  HistogramMeter pipeline_step_duration_seconds;   // model, group, rank
  CounterMeter pipeline_busy_seconds_total;        // stage, group, rank
  HistogramMeter pipeline_step_agreement_seconds;  // group
  TotalMeter pipeline_operations_total;            // model, group, rank
  CounterMeter parallel_step_wait_seconds_total;   // model, group, rank
  CounterMeter parallel_collective_bytes_total;    // op, group, rank
  GaugeMeter device_peak_operations;               // group, rank
  CounterMeter rank_jobs_failed_total;             // reason, group, rank
  GaugeMeter launch_cold_start_seconds;            // group
  GaugeMeter model_load_duration_seconds;          // component, group, rank
};

}  // namespace cogwheel
