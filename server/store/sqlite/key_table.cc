#include "server/store/sqlite/key_table.h"

#include "server/job/job_errors.h"
#include "server/store/sqlite/job_table.h"

namespace cogwheel {

absl::StatusOr<std::optional<Job>> JobOfKey(Connection& connection, const std::string& tenant,
                                            const std::string& request_id,
                                            const std::string& hash) {
  Statement key = connection.Query(
      "SELECT job, hash FROM keys WHERE tenant = ?1 AND request_id = ?2", tenant, request_id);
  const absl::StatusOr<bool> row = key.Step();
  if (!row.ok()) return row.status();
  if (!*row) return std::nullopt;
  if (key.Text(1) != hash) return KeyReused(request_id, key.Text(0));
  return FindJob(connection, key.Text(0));
}

absl::Status InsertKey(Connection& connection, const NewJob& given) {
  return connection.Run(
      "INSERT INTO keys (tenant, request_id, hash, job, created) VALUES (?1, ?2, ?3, ?4, ?5)",
      given.job.tenant, given.request_id, given.request_hash, given.job.name,
      ToNanos(given.job.create_time));
}

}  // namespace cogwheel
