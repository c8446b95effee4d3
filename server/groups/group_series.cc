#include "server/groups/group_series.h"

#include "server/groups/rank_member.h"
#include "server/groups/rank_messages.h"

namespace cogwheel {
namespace {

constexpr char kStepDeadline[] = "step_deadline";  // the one reason of a watchdog

}  // namespace

void BeginSeries(ServerMetrics& metrics, const std::string& group) {
  metrics.dispatch_fenced_commits_total.Increment({group}, 0);
  metrics.pipeline_step_agreement_mismatches_total.Increment({group}, 0);
  metrics.rank_watchdog_fires_total.Increment({group, kStepDeadline}, 0);
  metrics.rank_out_of_memory_total.Increment({group}, 0);
  metrics.rank_not_finite_total.Increment({group}, 0);
  for (const char* reason : kAbortReasons) {
    metrics.parallel_collective_aborts_total.Increment({group, reason}, 0);
  }
}

void RemoveSeries(ServerMetrics& metrics, const std::string& group) {
  metrics.dispatch_group_formations_total.Remove({group});
  metrics.dispatch_group_losses_total.Remove({group});
  metrics.dispatch_group_up.Remove({group});
  metrics.dispatch_group_epoch.Remove({group});
  metrics.dispatch_group_last_step_timestamp_seconds.Remove({group});
  metrics.dispatch_fenced_commits_total.Remove({group});
  metrics.pipeline_step_agreement_mismatches_total.Remove({group});
  metrics.rank_watchdog_fires_total.Remove({group, kStepDeadline});
  metrics.rank_out_of_memory_total.Remove({group});
  metrics.rank_not_finite_total.Remove({group});
  for (const char* reason : kAbortReasons) {
    metrics.parallel_collective_aborts_total.Remove({group, reason});
  }
  for (const std::string& kind : AllKinds()) {
    metrics.dispatch_fenced_messages_total.Remove({group, kind});
  }
}

}  // namespace cogwheel
