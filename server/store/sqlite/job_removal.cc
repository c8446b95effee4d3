#include "server/store/sqlite/job_removal.h"

#include <optional>
#include <utility>
#include <vector>

#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/kept_counts.h"
#include "server/store/sqlite/key_table.h"
#include "server/store/sqlite/usage_table.h"

namespace cogwheel {
namespace {

#define COGWHEEL_KEPT "result_sha256 IS NOT NULL AND result_expired = 0"

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

absl::Status ExpireOldResults(Connection& connection, const Retention& retention,
                              Removed& removed) {
  const absl::StatusOr<std::vector<std::string>> old =
      connection
          .Query("SELECT name FROM jobs WHERE " COGWHEEL_KEPT
                 " AND end_time < ?1 ORDER BY end_time LIMIT ?2",
                 ToNanos(retention.results_ended_before), retention.most_removed)
          .Texts();
  if (!old.ok()) return old.status();
  for (const std::string& name : *old) {
    const absl::Status expired = ExpireResult(connection, name, removed);
    if (!expired.ok()) return expired;
  }
  if (static_cast<int>(old->size()) == retention.most_removed) removed.more = true;
  return absl::OkStatus();
}

// One of the two things that are kept by tenant, and how its oldest goes.
struct Kind {
  const KeepLimit& limit;
  std::map<std::string, int64_t> Kept::* kept;
  const char* oldest;  // the name of the tenant's
  absl::Status (*remove)(Connection&, const std::string& name, Removed&);
};

absl::Status TrimKind(Connection& connection, const Kind& kind, int most, Removed& removed) {
  for (int count = 0; count < most; ++count) {
    const absl::StatusOr<Kept> kept = ReadKept(connection);
    if (!kept.ok()) return kept.status();
    const std::optional<std::string> tenant = WhoLoses(kind.limit, (*kept).*kind.kept);
    if (!tenant.has_value()) return absl::OkStatus();
    const absl::StatusOr<std::vector<std::string>> oldest =
        connection.Query(kind.oldest, *tenant).Texts();
    if (!oldest.ok()) return oldest.status();
    if (oldest->empty()) return absl::InternalError("the counts of kept jobs are wrong");
    const absl::Status gone = kind.remove(connection, oldest->front(), removed);
    if (!gone.ok()) return gone;
  }
  removed.more = true;
  return absl::OkStatus();
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
  const absl::Status kept = KeepKey(connection, name);
  if (!kept.ok()) return kept;
  return connection.Run("DELETE FROM jobs WHERE name = ?1", name);
}

absl::StatusOr<Removed> TrimStore(Connection& connection, const Retention& retention) {
  const Kind kinds[] = {
      {retention.result_bytes, &Kept::result_bytes,
       "SELECT name FROM jobs WHERE tenant = ?1 AND " COGWHEEL_KEPT " ORDER BY name LIMIT 1",
       ExpireResult},
      {retention.finished_jobs, &Kept::finished_jobs,
       "SELECT name FROM jobs WHERE tenant = ?1 AND state >= 2"
       " ORDER BY name LIMIT 1",
       RemoveJob}};
  Removed removed;
  absl::Status status = ExpireOldResults(connection, retention, removed);
  for (const Kind& kind : kinds) {
    if (status.ok()) status = TrimKind(connection, kind, retention.most_removed, removed);
  }
  if (status.ok()) status = ForgetKeys(connection, retention.keys_created_before);
  if (status.ok()) status = ForgetUsage(connection, retention.usage_ended_before);
  if (!status.ok()) return status;
  return removed;
}

}  // namespace cogwheel
