#include "server/store/sqlite/job_removal.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/store/sqlite/job_table.h"

namespace cogwheel {
namespace {

struct KeptResult {
  std::string job;
  int64_t end_time, bytes;
};

// Oldest first.
absl::StatusOr<std::vector<KeptResult>> KeptResults(Connection& connection) {
  Statement rows = connection.Query(
      "SELECT name, end_time, result_bytes FROM jobs"
      " WHERE result_sha256 IS NOT NULL AND result_expired = 0 ORDER BY name");
  std::vector<KeptResult> results;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return results;
    results.push_back({rows.Text(0), rows.Int(1), rows.Int(2)});
  }
}

absl::Status ExpireResult(Connection& connection, const std::string& name, Removed& removed) {
  const absl::StatusOr<std::optional<Job>> job = FindJob(connection, name);
  if (!job.ok()) return job.status();
  if (!job->has_value() || !(*job)->result.has_value() || (*job)->result_expired) {
    return absl::OkStatus();
  }
  const absl::Status expired =
      connection.Run("UPDATE jobs SET result_expired = 1 WHERE name = ?1", name);
  if (!expired.ok()) return expired;
  const absl::StatusOr<bool> owned = OwnsResult(connection, (*job)->result->sha256);
  if (!owned.ok()) return owned.status();
  if (!*owned) removed.orphans.push_back(*(*job)->result);
  return absl::OkStatus();
}

absl::Status ExpireResults(Connection& connection, const Retention& retention, Removed& removed) {
  const absl::StatusOr<std::vector<KeptResult>> results = KeptResults(connection);
  if (!results.ok()) return results.status();
  int64_t bytes = 0;
  for (const KeptResult& result : *results) bytes += result.bytes;
  const int64_t ended_before = ToNanos(retention.results_ended_before);
  for (const KeptResult& result : *results) {
    if (result.end_time >= ended_before && bytes <= retention.result_bytes) continue;
    bytes -= result.bytes;
    const absl::Status expired = ExpireResult(connection, result.job, removed);
    if (!expired.ok()) return expired;
  }
  return absl::OkStatus();
}

// The finished jobs beyond the limit, oldest first.
absl::StatusOr<std::vector<std::string>> ExcessJobs(Connection& connection, int64_t limit) {
  Statement rows = connection.Query(
      "SELECT name FROM jobs WHERE state >= 2 ORDER BY name DESC LIMIT -1 OFFSET ?1", limit);
  std::vector<std::string> names;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    names.push_back(rows.Text(0));
  }
  std::reverse(names.begin(), names.end());
  return names;
}

}  // namespace

absl::StatusOr<bool> OwnsResult(Connection& connection, const std::string& sha256) {
  const absl::StatusOr<int64_t> owned = connection.Number(
      "SELECT EXISTS (SELECT 1 FROM jobs WHERE result_sha256 = ?1 AND result_expired = 0)", sha256);
  if (!owned.ok()) return owned.status();
  return *owned != 0;
}

absl::Status RemoveJob(Connection& connection, const std::string& name, Removed& removed) {
  const absl::Status expired = ExpireResult(connection, name, removed);
  if (!expired.ok()) return expired;
  removed.jobs.push_back(name);
  return connection.Run("DELETE FROM jobs WHERE name = ?1", name);
}

absl::StatusOr<Removed> TrimStore(Connection& connection, const Retention& retention) {
  Removed removed;
  const absl::Status expired = ExpireResults(connection, retention, removed);
  if (!expired.ok()) return expired;
  const absl::StatusOr<std::vector<std::string>> excess =
      ExcessJobs(connection, retention.finished_jobs);
  if (!excess.ok()) return excess.status();
  for (const std::string& name : *excess) {
    const absl::Status gone = RemoveJob(connection, name, removed);
    if (!gone.ok()) return gone;
  }
  const absl::Status keys =
      connection.Run("DELETE FROM keys WHERE created < ?1", ToNanos(retention.keys_created_before));
  if (!keys.ok()) return keys;
  return removed;
}

}  // namespace cogwheel
