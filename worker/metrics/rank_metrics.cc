#include "worker/metrics/rank_metrics.h"

#include <utility>

namespace cogwheel {
namespace {

const std::vector<double> kStepSeconds = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60};
const std::vector<double> kAgreementSeconds = {1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10};

}  // namespace

RankMetrics::RankMetrics(std::shared_ptr<prometheus::Registry> given)
    : registry(std::move(given)),
      build_info(*registry, {"cogwheel_build_info", "1, with what was built", {"version", "nccl"}}),
      ready(*registry, {"cogwheel_ready", "1 while this rank stands in a formed group", {}}),
      pipeline_steps_total(
          *registry,
          {"cogwheel_pipeline_steps_total", "denoising steps done", {"model", "group", "rank"}}),
      pipeline_step_duration_seconds(*registry,
                                     {"cogwheel_pipeline_step_duration_seconds",
                                      "of a denoising step, with its agreement",
                                      {"model", "group", "rank"}},
                                     kStepSeconds),
      pipeline_busy_seconds_total(*registry, {"cogwheel_pipeline_busy_seconds_total",
                                              "time spent on jobs",
                                              {"stage", "group", "rank"}}),
      pipeline_step_agreement_seconds(*registry,
                                      {"cogwheel_pipeline_step_agreement_seconds",
                                       "wait of this rank until all agreed on the next step",
                                       {"group"}},
                                      kAgreementSeconds),
      pipeline_operations_total(*registry,
                                {"cogwheel_pipeline_operations_total",
                                 "floating-point operations of the model in denoising steps",
                                 {"model", "group", "rank"}}),
      parallel_step_wait_seconds_total(
          *registry, {"cogwheel_parallel_step_wait_seconds_total",
                      "of the time in denoising steps, waiting for exchanges with other ranks",
                      {"model", "group", "rank"}}),
      parallel_collective_bytes_total(*registry, {"cogwheel_parallel_collective_bytes_total",
                                                  "bytes sent to other ranks",
                                                  {"op", "group", "rank"}}),
      device_peak_operations(*registry, {"cogwheel_device_peak_operations",
                                         "floating-point operations a second at best, by the data "
                                         "sheet; absent for devices not known",
                                         {"group", "rank"}}),
      rank_jobs_failed_total(*registry, {"cogwheel_rank_jobs_failed_total",
                                         "jobs that this rank left with all others, for memory or "
                                         "values that are not finite",
                                         {"reason", "group", "rank"}}),
      launch_cold_start_seconds(*registry, {"cogwheel_launch_cold_start_seconds",
                                            "from this process's start until its group had formed",
                                            {"group"}}),
      model_load_duration_seconds(*registry, {"cogwheel_model_load_duration_seconds",
                                              "from files to weights on the device",
                                              {"component", "group", "rank"}}) {}

}  // namespace cogwheel
