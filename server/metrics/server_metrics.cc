#include "server/metrics/server_metrics.h"

#include <utility>

#include <prometheus/registry.h>

namespace cogwheel {
namespace {

const std::vector<double> kJobSeconds = {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 1800};

const std::vector<double> kRpcSeconds = {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1,
                                         0.2,   0.5,   1,     2,    5,    10,   60};
const std::vector<double> kCommitSeconds = {0.0001, 0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02,
                                            0.05,   0.1,    0.2,    0.5,   1,     2,     5,    10};
const std::vector<double> kRatios = {0.25, 0.5, 0.7, 0.8, 0.9, 1, 1.1, 1.25, 1.5, 2, 4};

}  // namespace

ServerMetrics::ServerMetrics(std::shared_ptr<prometheus::Registry> given)
    : registry(std::move(given)),
      build_info(*registry, {"cogwheel_build_info", "1, with what was built", {"version", "grpc"}}),
      ready(*registry, {"cogwheel_ready", "1 while a job submitted now would start", {}}),
      draining(*registry, {"cogwheel_draining", "1 while the server shuts down", {}}),
      api_rpcs_started_total(*registry,
                             {"cogwheel_api_rpcs_started_total", "RPCs that began", {"method"}}),
      api_rpcs_handled_total(
          *registry, {"cogwheel_api_rpcs_handled_total", "RPCs that ended", {"method", "code"}}),
      api_rpc_duration_seconds(
          *registry, {"cogwheel_api_rpc_duration_seconds", "from start to end", {"method"}},
          kRpcSeconds),
      api_calls_throttled_total(
          *registry,
          {"cogwheel_api_calls_throttled_total", "RPCs refused as too frequent", {"tenant"}}),
      api_ranks_refused_total(*registry,
                              {"cogwheel_api_ranks_refused_total",
                               "streams of ranks refused for their credentials or number",
                               {"reason"}}),
      api_live_reactors(*registry, {"cogwheel_api_live_reactors", "streams being served", {}}),
      api_streams_stalled_total(*registry, {"cogwheel_api_streams_stalled_total",
                                            "streams cut because their reader took nothing",
                                            {}}),
      api_sent_bytes_total(*registry, {"cogwheel_api_sent_bytes_total",
                                       "bytes of results and events handed to clients",
                                       {"method"}}),
      api_certificate_expiry_timestamp_seconds(*registry,
                                               {"cogwheel_api_certificate_expiry_timestamp_seconds",
                                                "when the server's certificate ends",
                                                {"role"}}),
      queue_jobs_accepted_total(*registry, {"cogwheel_queue_jobs_accepted_total",
                                            "jobs accepted since the store was made",
                                            {"model", "tenant"}}),
      queue_jobs_rejected_total(
          *registry, {"cogwheel_queue_jobs_rejected_total", "jobs refused", {"tenant", "reason"}}),
      queue_jobs_deduplicated_total(
          *registry,
          {"cogwheel_queue_jobs_deduplicated_total", "submits answered with an earlier job", {}}),
      queue_jobs(*registry, {"cogwheel_queue_jobs", "jobs not finished", {"state", "model"}}),
      queue_bytes(*registry,
                  {"cogwheel_queue_bytes", "bytes of prompts and images of queued jobs", {}}),
      queue_gpu_seconds(*registry, {"cogwheel_queue_gpu_seconds",
                                    "estimated seconds that queued and running jobs still need",
                                    {"model"}}),
      queue_oldest_age_seconds(
          *registry,
          {"cogwheel_queue_oldest_age_seconds", "age of the oldest queued job", {"model"}}),
      queue_limit_jobs(*registry, {"cogwheel_queue_limit_jobs", "jobs that may wait", {}}),
      queue_limit_bytes(
          *registry,
          {"cogwheel_queue_limit_bytes", "bytes of prompts and images that may wait", {}}),
      queue_limit_gpu_seconds(
          *registry,
          {"cogwheel_queue_limit_gpu_seconds", "estimated seconds of jobs that may wait", {}}),
      queue_wait_seconds(*registry,
                         {"cogwheel_queue_wait_seconds", "from acceptance to start", {"model"}},
                         kJobSeconds),
      queue_tenant_gpu_seconds_total(
          *registry, {"cogwheel_queue_tenant_gpu_seconds_total",
                      "seconds of attempts that ended, times the ranks of their groups",
                      {"tenant"}}),
      queue_tenant_throttled_total(
          *registry,
          {"cogwheel_queue_tenant_throttled_total",
           "times that jobs of a tenant began to wait for its limit: running_jobs or gpu_seconds",
           {"tenant", "reason"}}),
      queue_tenant_quota_gpu_seconds(
          *registry, {"cogwheel_queue_tenant_quota_gpu_seconds",
                      "GPU seconds that a tenant may use within --quota-window-hours, if it has a "
                      "limit",
                      {"tenant"}}),
      dispatch_jobs_finished_total(*registry, {"cogwheel_dispatch_jobs_finished_total",
                                               "jobs that ended since the store was made",
                                               {"model", "tenant", "outcome", "reason"}}),
      dispatch_jobs_requeued_total(*registry, {"cogwheel_dispatch_jobs_requeued_total",
                                               "lost attempts whose job was queued again",
                                               {"reason"}}),
      dispatch_job_duration_seconds(
          *registry,
          {"cogwheel_dispatch_job_duration_seconds", "from start to end", {"model", "outcome"}},
          kJobSeconds),
      dispatch_stage_duration_seconds(
          *registry,
          {"cogwheel_dispatch_stage_duration_seconds", "of a job's stages", {"model", "stage"}},
          kJobSeconds),
      dispatch_cancel_ack_seconds(
          *registry,
          {"cogwheel_dispatch_cancel_ack_seconds", "from a cancel until the group was free", {}},
          kRpcSeconds),
      dispatch_cost_error_ratio(*registry,
                                {"cogwheel_dispatch_cost_error_ratio",
                                 "seconds that a job took over those expected",
                                 {"model"}},
                                kRatios),
      dispatch_group_formations_total(
          *registry, {"cogwheel_dispatch_group_formations_total", "epochs begun", {"group"}}),
      dispatch_group_losses_total(*registry, {"cogwheel_dispatch_group_losses_total",
                                              "epochs ended by a rank that was not asked to leave",
                                              {"group"}}),
      dispatch_group_up(*registry, {"cogwheel_dispatch_group_up",
                                    "1 while a group is formed; gone once it was asked to leave",
                                    {"group"}}),
      dispatch_group_epoch(*registry,
                           {"cogwheel_dispatch_group_epoch", "current epoch", {"group"}}),
      dispatch_group_last_step_timestamp_seconds(
          *registry, {"cogwheel_dispatch_group_last_step_timestamp_seconds",
                      "when a group last reported progress",
                      {"group"}}),
      dispatch_fenced_messages_total(
          *registry, {"cogwheel_dispatch_fenced_messages_total",
                      "messages of an older epoch or job, or not understood, dropped",
                      {"group", "kind"}}),
      rank_watchdog_fires_total(*registry, {"cogwheel_rank_watchdog_fires_total",
                                            "ranks that found themselves hanging",
                                            {"group", "reason"}}),
      rank_out_of_memory_total(*registry, {"cogwheel_rank_out_of_memory_total",
                                           "jobs that failed alone because a rank's memory did not "
                                           "suffice, or its process was killed for it",
                                           {"group"}}),
      rank_not_finite_total(*registry, {"cogwheel_rank_not_finite_total",
                                        "jobs that failed alone because values became infinite or "
                                        "NaN",
                                        {"group"}}),
      pipeline_step_agreement_mismatches_total(*registry,
                                               {"cogwheel_pipeline_step_agreement_mismatches_total",
                                                "epochs ended because ranks were out of step",
                                                {"group"}}),
      parallel_collective_aborts_total(*registry,
                                       {"cogwheel_parallel_collective_aborts_total",
                                        "epochs that a rank ended while its group was exchanging",
                                        {"group", "reason"}}),
      dispatch_fenced_commits_total(*registry, {"cogwheel_dispatch_fenced_commits_total",
                                                "results of an older attempt, refused",
                                                {"group"}}),
      dispatch_loop_turn_seconds(*registry,
                                 {"cogwheel_dispatch_loop_turn_seconds",
                                  "of one turn of the dispatcher's loop, without waiting for a CPU",
                                  {}},
                                 kCommitSeconds),
      dispatch_loop_lag_seconds(*registry,
                                {"cogwheel_dispatch_loop_lag_seconds",
                                 "that a tick of the dispatcher's loop came late",
                                 {}},
                                kCommitSeconds),
      dispatch_loop_tasks(*registry,
                          {"cogwheel_dispatch_loop_tasks", "tasks that wait for the loop", {}}),
      io_tasks(*registry,
               {"cogwheel_io_tasks", "tasks that wait for a thread of a pool", {"pool"}}),
      store_writable(*registry,
                     {"cogwheel_store_writable", "1 while the store and its disk take writes", {}}),
      store_writes(*registry, {"cogwheel_store_writes", "writes that wait for the store", {}}),
      store_commit_duration_seconds(
          *registry,
          {"cogwheel_store_commit_duration_seconds", "of a transaction, with its sync", {}},
          kCommitSeconds),
      store_errors_total(*registry, {"cogwheel_store_errors_total",
                                     "calls that the store could not serve",
                                     {"op", "reason"}}),
      store_last_commit_timestamp_seconds(
          *registry,
          {"cogwheel_store_last_commit_timestamp_seconds", "when the store last committed", {}}),
      store_bytes(*registry, {"cogwheel_store_bytes", "size of the job database", {}}),
      store_free_bytes(
          *registry,
          {"cogwheel_store_free_bytes", "space left on the data directory's file system", {}}),
      store_wal_bytes(*registry, {"cogwheel_store_wal_bytes", "size of its write-ahead log", {}}),
      store_artefact_bytes(
          *registry, {"cogwheel_store_artefact_bytes", "size of all results, as last swept", {}}),
      store_orphan_files_removed_total(*registry, {"cogwheel_store_orphan_files_removed_total",
                                                   "files without an owner that the sweep removed",
                                                   {}}),
      store_artefacts_expired_total(
          *registry,
          {"cogwheel_store_artefacts_expired_total", "results removed by age, size or number", {}}),
      store_checksum_failures_total(
          *registry,
          {"cogwheel_store_checksum_failures_total", "stored files whose bytes had changed", {}}) {}

}  // namespace cogwheel
