#include "server/operate/operator.h"

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "base/log_format.h"
#include "proto/contract/status.h"
#include "server/operate/operate_request.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxOrders = 1024;  // groups that are drained, and pauses, together
constexpr int kPurgedAtOnce = 64;    // jobs: so long others wait for the store's writer

// What `post` makes durable, applied to what is gone by. In the store's order: its answers come one
// after the other.
template <typename Response, typename Post, typename Change>
absl::StatusOr<Response> Order(StandingOrders& orders, const Post& post, const Change& change) {
  const absl::Status done = Await<absl::Status>([&](Done answer) {
    post([&orders, change, answer = std::move(answer)](const absl::Status& status) {
      if (status.ok()) orders.Apply(change);
      answer(status);
    });
  });
  if (!done.ok()) return done;
  return Response();
}

}  // namespace

absl::Status Operator::CheckOrders() const {
  const auto orders = parts_.orders.Now();
  if (orders->drained.size() + orders->paused.size() < kMaxOrders) return absl::OkStatus();
  return MakeError(absl::StatusCode::kResourceExhausted, "ORDERS",
                   absl::StrCat(kMaxOrders,
                                " groups are drained or models and tenants paused, "
                                "which is the limit; resume some first"));
}

absl::StatusOr<v1::DrainGroupResponse> Operator::DrainGroup(const v1::DrainGroupRequest& request) {
  absl::Status checked = CheckName("name", request.name());
  if (checked.ok()) checked = CheckOrders();
  if (!checked.ok()) return checked;
  return Order<v1::DrainGroupResponse>(
      parts_.orders,
      [&](Done done) {
        parts_.store.DrainGroup(request.name(), parts_.clock.Wall(), std::move(done));
      },
      [name = request.name()](OperatorOrders& orders) { orders.drained.insert(name); });
}

absl::StatusOr<v1::ResumeGroupResponse> Operator::ResumeGroup(
    const v1::ResumeGroupRequest& request) {
  const absl::Status checked = CheckName("name", request.name());
  if (!checked.ok()) return checked;
  return Order<v1::ResumeGroupResponse>(
      parts_.orders, [&](Done done) { parts_.store.ResumeGroup(request.name(), std::move(done)); },
      [name = request.name()](OperatorOrders& orders) { orders.drained.erase(name); });
}

absl::StatusOr<v1::PauseResponse> Operator::Pause(const v1::PauseRequest& request) {
  const absl::StatusOr<PauseTarget> target = TargetOf(request);
  if (!target.ok()) return target.status();
  absl::Status checked = CheckReason(request.reason(), /*least=*/0);
  if (checked.ok()) checked = CheckOrders();
  if (!checked.ok()) return checked;
  return Order<v1::PauseResponse>(
      parts_.orders,
      [&](Done done) {
        parts_.store.Pause(*target, request.reason(), parts_.clock.Wall(), std::move(done));
      },
      [target = *target, reason = request.reason()](OperatorOrders& orders) {
        orders.paused[target] = reason;
      });
}

absl::StatusOr<v1::UnpauseResponse> Operator::Unpause(const v1::UnpauseRequest& request) {
  const absl::StatusOr<PauseTarget> target = TargetOf(request);
  if (!target.ok()) return target.status();
  return Order<v1::UnpauseResponse>(
      parts_.orders, [&](Done done) { parts_.store.Unpause(*target, std::move(done)); },
      [target = *target](OperatorOrders& orders) { orders.paused.erase(target); });
}

absl::StatusOr<v1::RetireModelResponse> Operator::RetireModel(
    const v1::RetireModelRequest& request) {
  const absl::Status checked = CheckName("name", request.name());
  if (!checked.ok()) return checked;
  // On the loop's thread, where groups form: one that has joined is seen here, and one that joins
  // later writes its model after this.
  const absl::Status retired = Await<absl::Status>([&](Done done) {
    const auto retire = [this, name = request.name(), done] {
      if (!parts_.board.Serves(name)) return parts_.store.RetireModel(name, done);
      done(MakeError(absl::StatusCode::kFailedPrecondition, "MODEL_SERVED",
                     absl::StrCat("model ", name,
                                  " is served by a group; stop "
                                  "its workers first")));
    };
    if (!parts_.loop.TryPost(retire)) {
      done(MakeError(absl::StatusCode::kResourceExhausted, "DISPATCHER_BEHIND",
                     "the server has too many requests at hand"));
    }
  });
  if (!retired.ok()) return retired;
  return v1::RetireModelResponse();
}

absl::StatusOr<v1::PurgeResponse> Operator::Purge(const v1::PurgeRequest& request) {
  if (parts_.open) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "OPEN_SERVER",
                     "Purge needs a server with an --access-file");
  }
  const absl::Status checked = CheckName("tenant", request.tenant());
  if (!checked.ok()) return checked;
  const auto before = PurgedBefore(request, parts_.clock.Wall());
  if (!before.ok()) return before.status();
  PurgeOrder order{request.tenant(), *before, "", kPurgedAtOnce};
  v1::PurgeResponse purged;
  while (!draining_) {
    const auto removed = Await<absl::StatusOr<Removed>>(
        [&](Answer<Removed> done) { parts_.store.Purge(order, std::move(done)); });
    if (!removed.ok()) return removed.status();
    for (const std::string& job : removed->jobs) parts_.events.Forget(job);
    for (const Artefact& orphan : removed->orphans) {
      parts_.results.Remove(orphan, parts_.jobs);
      purged.set_result_bytes(purged.result_bytes() + orphan.size_bytes);
    }
    purged.set_jobs(purged.jobs() + static_cast<int64_t>(removed->jobs.size()));
    if (removed->jobs.size() < kPurgedAtOnce) return purged;
    order.after_name = removed->jobs.back();
  }
  return MakeError(absl::StatusCode::kUnavailable, "DRAINING",
                   absl::StrCat("the server shuts down; ", purged.jobs(), " jobs are removed"));
}

absl::StatusOr<v1::BackupResponse> Operator::Backup(const v1::BackupRequest& request) {
  if (parts_.open) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "OPEN_SERVER",
                     "Backup needs a server with an --access-file");
  }
  if (parts_.backup_folder.empty()) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "NO_BACKUP_DIR",
                     "Backup needs a server with --backup-dir");
  }
  const absl::StatusOr<std::string> name = BackupName(request, parts_.clock.Wall());
  if (!name.ok()) return name.status();
  const absl::StatusOr<BackupMade> made = parts_.store.BackUp(parts_.backup_folder, *name);
  if (!made.ok()) return made.status();
  v1::BackupResponse response;
  response.set_name(made->name);
  response.set_size_bytes(made->size_bytes);
  return response;
}

absl::StatusOr<v1::SetLogLevelResponse> Operator::SetLogLevel(
    const v1::SetLogLevelRequest& request) {
  const absl::StatusOr<LogLevel> level = ParseLogLevel("level", request.level());
  if (!level.ok()) {
    return MakeInvalidArgument("OPERATE", {{"level", std::string(level.status().message())}});
  }
  v1::SetLogLevelResponse response;
  response.set_former(LogLevelName(LeastLogLevel()));
  cogwheel::SetLogLevel(*level);
  return response;
}

}  // namespace cogwheel
