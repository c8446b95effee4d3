#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/admission.h"
#include "server/schedule/placement.h"
#include "server/schedule/request_queue.h"

namespace cogwheel {

// Tells admission and the metrics how much waits and runs, model by model. Owned by the
// dispatcher's thread.
class LoadReport {
 public:
  LoadReport(AdmissionLedger& ledger, ServerMetrics& metrics, const Clock& clock)
      : ledger_(ledger), metrics_(metrics), clock_(clock) {}

  // All groups that can take jobs, and all jobs that wait.
  void Show(const std::vector<Placement::Slot>& groups, const std::vector<const QueuedJob*>& queue);

 private:
  AdmissionLedger& ledger_;
  ServerMetrics& metrics_;
  const Clock& clock_;
  // Models shown so far, and when each was last served, or first seen. Without groups and jobs they
  // are at zero.
  std::map<std::string, std::chrono::steady_clock::time_point> served_;
};

}  // namespace cogwheel
