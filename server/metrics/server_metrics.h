#pragma once

#include <memory>

#include "base/meters.h"

namespace cogwheel {

// Every metric of the frontend, by name. Rooms receive this struct, never the registry.
struct ServerMetrics {
  explicit ServerMetrics(std::shared_ptr<prometheus::Registry> registry);

  const std::shared_ptr<prometheus::Registry> registry;  // owns what the members refer to

  GaugeMeter build_info;  // version, grpc
  GaugeMeter ready;
  GaugeMeter draining;

  CounterMeter api_rpcs_started_total;      // method
  CounterMeter api_rpcs_handled_total;      // method, code
  HistogramMeter api_rpc_duration_seconds;  // method
  CounterMeter api_calls_throttled_total;   // tenant; `other`: known by its address only
  CounterMeter api_ranks_refused_total;     // reason
  GaugeMeter api_live_reactors;
  CounterMeter api_streams_stalled_total;
  CounterMeter api_sent_bytes_total;                    // method
  GaugeMeter api_certificate_expiry_timestamp_seconds;  // role

  // Read from the store, so that they survive restarts: accepted = all finished + in flight.
  TotalMeter queue_jobs_accepted_total;    // model, tenant
  CounterMeter queue_jobs_rejected_total;  // tenant, reason
  CounterMeter queue_jobs_deduplicated_total;
  GaugeMeter queue_jobs;  // state, model
  GaugeMeter queue_bytes;
  GaugeMeter queue_gpu_seconds;         // model
  GaugeMeter queue_oldest_age_seconds;  // model
  GaugeMeter queue_limit_jobs;
  GaugeMeter queue_limit_bytes;
  GaugeMeter queue_limit_gpu_seconds;
  HistogramMeter queue_wait_seconds;            // model
  CounterMeter queue_tenant_gpu_seconds_total;  // tenant
  CounterMeter queue_tenant_throttled_total;    // tenant, reason
  GaugeMeter queue_tenant_quota_gpu_seconds;    // tenant

  TotalMeter dispatch_jobs_finished_total;         // model, tenant, outcome, reason
  CounterMeter dispatch_jobs_requeued_total;       // reason
  HistogramMeter dispatch_job_duration_seconds;    // model, outcome
  HistogramMeter dispatch_stage_duration_seconds;  // model, stage
  HistogramMeter dispatch_cancel_ack_seconds;
  HistogramMeter dispatch_cost_error_ratio;               // model
  CounterMeter dispatch_group_formations_total;           // group
  CounterMeter dispatch_group_losses_total;               // group
  GaugeMeter dispatch_group_up;                           // group
  GaugeMeter dispatch_group_epoch;                        // group
  GaugeMeter dispatch_group_last_step_timestamp_seconds;  // group
  CounterMeter dispatch_fenced_messages_total;            // group, kind
  // Told by ranks, which are gone before anybody could read it from them.
  CounterMeter rank_watchdog_fires_total;                 // group, reason
  CounterMeter rank_out_of_memory_total;                  // group
  CounterMeter rank_not_finite_total;                     // group
  CounterMeter pipeline_step_agreement_mismatches_total;  // group
  CounterMeter parallel_collective_aborts_total;          // group, reason
  CounterMeter dispatch_fenced_commits_total;             // group

  HistogramMeter dispatch_loop_turn_seconds;
  HistogramMeter dispatch_loop_lag_seconds;
  GaugeMeter dispatch_loop_tasks;
  GaugeMeter io_tasks;  // pool

  GaugeMeter store_writable;
  GaugeMeter store_writes;  // that wait
  HistogramMeter store_commit_duration_seconds;
  CounterMeter store_errors_total;  // op, reason
  GaugeMeter store_last_commit_timestamp_seconds;
  GaugeMeter store_bytes;
  GaugeMeter store_free_bytes;
  GaugeMeter store_wal_bytes;
  GaugeMeter store_artefact_bytes;
  CounterMeter store_orphan_files_removed_total;
  CounterMeter store_artefacts_expired_total;
  CounterMeter store_checksum_failures_total;
};

}  // namespace cogwheel
