#include "server/api/submit.h"

#include <string>
#include <utility>

#include "base/log.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

void Count(const std::string& tenant, const absl::StatusOr<CreatedJob>& created,
           ServerMetrics& metrics) {
  if (!created.ok()) {
    const std::string reason = ErrorReason(created.status());
    metrics.queue_jobs_rejected_total.Increment({tenant, reason.empty() ? "OTHER" : reason});
  } else if (created->existed) {
    metrics.queue_jobs_deduplicated_total.Increment();
  }
}

}  // namespace

void Submit(const v1::GenerateRequest& request, const RpcCall& call, const ApiParts& parts,
            Intake::Done done) {
  parts.intake.Submit(
      request, *call.tenant(),
      [&metrics = parts.metrics, tenant = *call.tenant(), trace_id = call.trace_id(),
       done = std::move(done)](absl::StatusOr<CreatedJob> created) {
        Count(tenant, created, metrics);
        if (created.ok() && !created->existed) {  // later lines of the job carry its name
          Log(LogLevel::kInfo, "job accepted",
              {{"job", created->job.name}, {"tenant", tenant}, {"trace_id", trace_id}});
        }
        done(std::move(created));
      });
}

}  // namespace cogwheel
