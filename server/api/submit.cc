#include "server/api/submit.h"

#include <string>
#include <utility>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

void Count(const absl::StatusOr<CreatedJob>& created, ServerMetrics& metrics) {
  if (!created.ok()) {
    const std::string reason = ErrorReason(created.status());
    metrics.queue_jobs_rejected_total.Increment({reason.empty() ? "OTHER" : reason});
  } else if (created->existed) {
    metrics.queue_jobs_deduplicated_total.Increment();
  }
}

}  // namespace

void Submit(const v1::GenerateRequest& request, const std::string& tenant, const ApiParts& parts,
            Intake::Done done) {
  parts.intake.Submit(
      request, tenant,
      [&metrics = parts.metrics, done = std::move(done)](absl::StatusOr<CreatedJob> created) {
        Count(created, metrics);
        done(std::move(created));
      });
}

}  // namespace cogwheel
