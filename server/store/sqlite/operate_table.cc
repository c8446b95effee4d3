#include "server/store/sqlite/operate_table.h"

#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"
#include "server/store/sqlite/job_removal.h"
#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/sqlite_input_rows.h"

namespace cogwheel {
namespace {

constexpr char kModel[] = "model", kTenant[] = "tenant";  // in paused.kind

const char* KindColumn(PauseTarget::Kind kind) {
  return kind == PauseTarget::Kind::kModel ? kModel : kTenant;
}

absl::StatusOr<std::vector<std::string>> FinishedBefore(Connection& connection,
                                                        const PurgeOrder& order) {
  return connection
      .Query(
          "SELECT name FROM jobs WHERE tenant = ?1 AND name > ?2 AND state >= 2 AND end_time < ?3"
          " ORDER BY name LIMIT ?4",
          order.tenant, order.after_name, ToNanos(order.ended_before), order.limit)
      .Texts();
}

}  // namespace

absl::Status InsertDrained(Connection& connection, const std::string& group, Job::WallTime now) {
  return connection.Run(
      "INSERT INTO drained_groups (name, since) VALUES (?1, ?2)"
      " ON CONFLICT DO NOTHING",
      group, ToNanos(now));
}

absl::Status DeleteDrained(Connection& connection, const std::string& group) {
  return connection.Run("DELETE FROM drained_groups WHERE name = ?1", group);
}

absl::Status InsertPaused(Connection& connection, const PauseTarget& target,
                          const std::string& reason, Job::WallTime now) {
  return connection.Run(
      "INSERT INTO paused (kind, name, reason, since) VALUES (?1, ?2, ?3, ?4)"
      " ON CONFLICT DO UPDATE SET reason = excluded.reason",
      std::string_view(KindColumn(target.kind)), target.name, reason, ToNanos(now));
}

absl::Status DeletePaused(Connection& connection, const PauseTarget& target) {
  return connection.Run("DELETE FROM paused WHERE kind = ?1 AND name = ?2",
                        std::string_view(KindColumn(target.kind)), target.name);
}

absl::StatusOr<OperatorOrders> ReadOrders(Connection& connection) {
  OperatorOrders orders;
  Statement paused = connection.Query("SELECT kind, name, reason FROM paused");
  for (;;) {
    const absl::StatusOr<bool> row = paused.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const bool model = paused.Text(0) == kModel;
    orders
        .paused[{model ? PauseTarget::Kind::kModel : PauseTarget::Kind::kTenant, paused.Text(1)}] =
        paused.Text(2);
  }
  const auto drained = connection.Query("SELECT name FROM drained_groups").Texts();
  if (!drained.ok()) return drained.status();
  orders.drained.insert(drained->begin(), drained->end());
  return orders;
}

absl::Status RetireModel(Connection& connection, const std::string& name) {
  // What was accepted and has not ended: of the totals, as the rows of jobs name no model.
  const absl::StatusOr<int64_t> unfinished = connection.Number(
      "SELECT COALESCE(SUM(CASE WHEN state = -1 THEN count ELSE -count END), 0) FROM totals"
      " WHERE model = ?1",
      name);
  if (!unfinished.ok()) return unfinished.status();
  if (*unfinished > 0) {
    return MakeError(absl::StatusCode::kFailedPrecondition, "MODEL_JOBS",
                     absl::StrCat("model ", name, " has ", *unfinished,
                                  " jobs that wait or run; cancel them or let them end first"));
  }
  const absl::Status deleted = connection.Run("DELETE FROM models WHERE name = ?1", name);
  if (!deleted.ok() || connection.changed_rows() > 0) return deleted;
  return MakeError(absl::StatusCode::kNotFound, "UNKNOWN_MODEL",
                   absl::StrCat("name ", name, " is no model of this server"));
}

absl::StatusOr<Removed> PurgeJobs(Connection& connection, const PurgeOrder& order) {
  const absl::StatusOr<std::vector<std::string>> names = FinishedBefore(connection, order);
  if (!names.ok()) return names.status();
  const absl::Status expired = ExpireInputs(connection, order.tenant, order.ended_before);
  if (!expired.ok()) return expired;
  const absl::Status forgotten =  // of jobs that are gone already
      connection.Run("DELETE FROM removed_keys WHERE tenant = ?1 AND created < ?2", order.tenant,
                     ToNanos(order.ended_before));
  if (!forgotten.ok()) return forgotten;
  Removed removed;
  for (const std::string& name : *names) {
    absl::Status gone =
        connection.Run("DELETE FROM keys WHERE tenant = ?1 AND job = ?2", order.tenant, name);
    if (gone.ok()) gone = RemoveJob(connection, name, removed);
    if (!gone.ok()) return gone;
  }
  return removed;
}

}  // namespace cogwheel
