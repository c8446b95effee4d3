// What an operator does to jobs, and what he reads of them.
#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/events/job_event.h"
#include "server/job/proto_time.h"
#include "server/operate/operate_request.h"
#include "server/operate/operator.h"

namespace cogwheel {
namespace {

absl::StatusOr<v1::Job> Described(const absl::StatusOr<Job>& job, const EventLog& events) {
  if (!job.ok()) return job.status();
  v1::Job described = ToProto(*job);
  events.Describe(described);
  return described;
}

std::string WrongState(const Job& job, const char* legal) {
  return absl::StrCat(job.name, " is ", JobStateName(job.state), "; legal is ", legal);
}

}  // namespace

absl::StatusOr<v1::Job> Operator::RequeueJob(const v1::RequeueJobRequest& request) {
  const absl::StatusOr<std::string> name = NormalizeJobName(request.name());
  if (!name.ok()) return name.status();
  const absl::StatusOr<Job> known = parts_.store.Find(*name);
  if (!known.ok()) return known.status();
  if (known->state != JobState::kRunning)
    return MakeError(absl::StatusCode::kFailedPrecondition, "NOT_RUNNING",
                     WrongState(*known, "RUNNING"));
  const auto asked =
      Await<absl::Status>([&](Done done) { parts_.dispatcher.Requeue(*name, std::move(done)); });
  if (!asked.ok()) return asked;
  return Described(known, parts_.events);
}

absl::StatusOr<v1::Job> Operator::FailJob(const v1::FailJobRequest& request) {
  const absl::StatusOr<std::string> name = NormalizeJobName(request.name());
  if (!name.ok()) return name.status();
  const absl::Status checked = CheckReason(request.reason(), /*least=*/1);
  if (!checked.ok()) return checked;
  const absl::StatusOr<Job> known = parts_.store.Find(*name);
  if (!known.ok()) return known.status();
  if (IsTerminal(known->state))
    return MakeError(absl::StatusCode::kFailedPrecondition, "FINISHED",
                     WrongState(*known, "QUEUED or RUNNING"));
  const absl::Status why = MakeError(absl::StatusCode::kAborted, "OPERATOR", request.reason());
  const auto failed =
      Await<absl::Status>([&](Done done) { parts_.dispatcher.Fail(*name, why, std::move(done)); });
  if (!failed.ok()) return failed;
  return Described(parts_.store.Find(*name), parts_.events);
}

absl::StatusOr<v1::GetUsageResponse> Operator::GetUsage(const v1::GetUsageRequest& request) {
  const absl::StatusOr<UsageWindow> window = WindowOf(request, parts_.clock.Wall());
  if (!window.ok()) return window.status();
  const absl::StatusOr<std::vector<TenantUsage>> used =
      parts_.jobs.Usage({window->from, window->to, request.tenant()});
  if (!used.ok()) return used.status();
  v1::GetUsageResponse response;
  *response.mutable_from() = ToTimestamp(window->from);
  *response.mutable_to() = ToTimestamp(window->to);
  for (const TenantUsage& each : *used) {
    v1::TenantUsage& usage = *response.add_usage();
    usage.set_tenant(each.tenant);
    usage.set_model(each.model);
    usage.set_gpu_seconds(each.gpu_seconds);
    usage.set_succeeded(each.succeeded);
    usage.set_failed(each.failed);
    usage.set_cancelled(each.cancelled);
    usage.set_result_bytes(each.result_bytes);
  }
  return response;
}

}  // namespace cogwheel
