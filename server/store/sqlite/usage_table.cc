#include "server/store/sqlite/usage_table.h"

#include <utility>

namespace cogwheel {
namespace {

int64_t HourOf(Job::WallTime time) {  // since 1970
  return std::chrono::floor<std::chrono::hours>(time.time_since_epoch()).count();
}

}  // namespace

absl::Status AddUsage(Connection& connection, const Job& job, Job::WallTime time,
                      double gpu_seconds) {
  const bool succeeded = job.state == JobState::kSucceeded;
  const bool failed = job.state == JobState::kFailed;
  const bool cancelled = IsTerminal(job.state) && !succeeded && !failed;
  if (gpu_seconds == 0 && !IsTerminal(job.state)) return absl::OkStatus();
  return connection.Run(
      "INSERT INTO usage (hour, tenant, model, gpu_seconds, succeeded, failed, cancelled,"
      " result_bytes) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET"
      " gpu_seconds = gpu_seconds + excluded.gpu_seconds,"
      " succeeded = succeeded + excluded.succeeded, failed = failed + excluded.failed,"
      " cancelled = cancelled + excluded.cancelled,"
      " result_bytes = result_bytes + excluded.result_bytes",
      HourOf(time), job.tenant, job.request.model(), gpu_seconds, succeeded, failed, cancelled,
      succeeded && job.result.has_value() ? job.result->size_bytes : 0);
}

absl::StatusOr<std::vector<TenantUsage>> ReadUsage(Connection& connection,
                                                   const UsageQuery& query) {
  const int64_t from = HourOf(query.from);
  const int64_t to = HourOf(query.to - Job::WallTime::duration(1));  // the last hour begun by then
  Statement rows = connection.Query(
      "SELECT tenant, model, SUM(gpu_seconds), SUM(succeeded), SUM(failed), SUM(cancelled),"
      " SUM(result_bytes) FROM usage WHERE hour BETWEEN ?1 AND ?2 AND (?3 = '' OR tenant = ?3)"
      " GROUP BY tenant, model ORDER BY tenant, model",
      from, to, query.tenant);
  std::vector<TenantUsage> usage;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return usage;
    usage.push_back({rows.Text(0), rows.Text(1), rows.Real(2), rows.Int(3), rows.Int(4),
                     rows.Int(5), rows.Int(6)});
  }
}

absl::Status ForgetUsage(Connection& connection, Job::WallTime before) {
  return connection.Run("DELETE FROM usage WHERE hour < ?1", HourOf(before));
}

}  // namespace cogwheel
