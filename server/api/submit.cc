#include "server/api/submit.h"

#include <string>
#include <utility>

#include "base/log.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"

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

void Submit(const v1::GenerateRequest& request, const Submitter& submitter, const ApiParts& parts,
            Intake::Done done) {
  parts.intake.Submit(
      request, submitter.tenant, submitter.hold,
      [&metrics = parts.metrics, &holders = parts.holders, submitter,
       done = std::move(done)](absl::StatusOr<CreatedJob> created) {
        Count(submitter.tenant, created, metrics);
        if (created.ok() && !created->existed) {  // later lines of the job carry its name
          if (created->job.held) holders.Expect(created->job);
          Log(LogLevel::kInfo, "job accepted",
              {{"job", created->job.name},
               {"tenant", submitter.tenant},
               {"trace_id", submitter.trace_id}});
        }
        done(std::move(created));
      });
}

absl::StatusOr<Job> FindJob(const std::string& tenant, const std::string& given,
                            const JobStore& store) {
  const absl::StatusOr<std::string> name = NormalizeJobName(given);
  if (!name.ok()) return name.status();
  return store.Get(tenant, *name);
}

}  // namespace cogwheel
