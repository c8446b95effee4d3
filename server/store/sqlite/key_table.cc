#include "server/store/sqlite/key_table.h"

#include "server/job/job_errors.h"
#include "server/store/sqlite/job_table.h"

namespace cogwheel {

absl::StatusOr<std::optional<Job>> JobOfKey(Connection& connection, const std::string& tenant,
                                            const std::string& request_id,
                                            const std::string& hash) {
  Statement key = connection.Query(
      "SELECT job, hash, 0 FROM keys WHERE tenant = ?1 AND request_id = ?2 UNION ALL"
      " SELECT job, hash, 1 FROM removed_keys WHERE tenant = ?1 AND request_id = ?2",
      tenant, request_id);
  const absl::StatusOr<bool> row = key.Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  if (key.Text(1) != hash) return KeyReused(request_id, key.Text(0));
  if (key.Int(2) != 0) return KeyOfRemovedJob(request_id, key.Text(0));
  return FindJob(connection, key.Text(0));
}

absl::Status InsertKey(Connection& connection, const NewJob& given) {
  return connection.Run(
      "INSERT INTO keys (tenant, request_id, hash, job, created) VALUES (?1, ?2, ?3, ?4, ?5)",
      given.job.tenant, given.request_id, given.request_hash, given.job.name,
      ToNanos(given.job.create_time));
}

// Both may have the key where the release before ran its request again: the later job's stays.
absl::Status KeepKey(Connection& connection, const std::string& job) {
  return connection.Run(
      "INSERT OR REPLACE INTO removed_keys (tenant, request_id, hash, job, created)"
      " SELECT tenant, request_id, hash, job, created FROM keys WHERE job = ?1",
      job);
}

absl::Status ForgetKeys(Connection& connection, Job::WallTime created_before) {
  const absl::Status keys =
      connection.Run("DELETE FROM keys WHERE created < ?1", ToNanos(created_before));
  if (!keys.ok()) return keys;
  return connection.Run("DELETE FROM removed_keys WHERE created < ?1", ToNanos(created_before));
}

}  // namespace cogwheel
