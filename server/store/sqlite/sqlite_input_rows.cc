#include "server/store/sqlite/sqlite_input_rows.h"

#include <utility>

#include "server/job/job_errors.h"
#include "server/store/sqlite/job_table.h"

namespace cogwheel {
namespace {

#define COGWHEEL_COLUMNS "tenant, sha256, size_bytes, image_refusal, expire_time"

KeptInput ReadInput(const Statement& row) {
  return {row.Text(0), row.Text(1), row.Int(2), row.Text(3), FromNanos(row.Int(4))};
}

absl::StatusOr<std::vector<KeptInput>> ReadInputs(Statement rows) {
  std::vector<KeptInput> inputs;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return inputs;
    inputs.push_back(ReadInput(rows));
  }
}

absl::StatusOr<KeptInput> Renew(Connection& connection, const std::string& tenant,
                                const std::string& sha256, Job::WallTime expire_time) {
  Statement renewed = connection.Query(
      "UPDATE kept_inputs SET expire_time = max(expire_time, ?3) WHERE sha256 = ?1 AND tenant = ?2"
      " RETURNING " COGWHEEL_COLUMNS,
      sha256, tenant, ToNanos(expire_time));
  const absl::StatusOr<bool> row = renewed.Step();
  if (!row.ok()) return row.status();
  if (!*row) return UnknownInput(sha256);
  KeptInput input = ReadInput(renewed);
  const absl::Status finished = renewed.Finish();
  if (!finished.ok()) return finished;
  return input;
}

absl::StatusOr<std::vector<KeptInput>> Drop(Connection& connection, Job::WallTime now) {
  constexpr int kAtOnce = 500;  // other writes wait behind it
  absl::StatusOr<std::vector<KeptInput>> expired = ReadInputs(connection.Query(
      "SELECT " COGWHEEL_COLUMNS
      " FROM kept_inputs WHERE expire_time < ?1 AND NOT EXISTS (SELECT 1 FROM jobs WHERE"
      " jobs.image_sha256 = kept_inputs.sha256 AND jobs.tenant = kept_inputs.tenant AND"
      " jobs.state < 2) LIMIT ?2",
      ToNanos(now), kAtOnce));
  if (!expired.ok()) return expired;
  for (const KeptInput& input : *expired) {
    const absl::Status gone = connection.Run(
        "DELETE FROM kept_inputs WHERE sha256 = ?1 AND tenant = ?2", input.sha256, input.tenant);
    if (!gone.ok()) return gone;
  }
  return expired;
}

}  // namespace

absl::StatusOr<bool> IsKept(Connection& connection, const std::string& sha256) {
  const absl::StatusOr<int64_t> kept =
      connection.Number("SELECT EXISTS (SELECT 1 FROM kept_inputs WHERE sha256 = ?1)", sha256);
  if (!kept.ok()) return kept.status();
  return *kept != 0;
}

absl::Status ExpireInputs(Connection& connection, const std::string& tenant,
                          Job::WallTime used_before) {
  return connection.Run(
      "UPDATE kept_inputs SET expire_time = 0 WHERE tenant = ?1 AND expire_time < ?2", tenant,
      ToNanos(used_before + kInputLife));
}

void SqliteInputRows::Keep(KeptInput input, Done done) {
  writer_.Post(
      "KeepInput",
      [input = std::move(input)](Connection& connection) {
        return connection.Run("INSERT INTO kept_inputs (" COGWHEEL_COLUMNS
                              ") VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET"
                              " image_refusal = excluded.image_refusal,"
                              " expire_time = max(expire_time, excluded.expire_time)",
                              input.tenant, input.sha256, input.size_bytes, input.image_refusal,
                              ToNanos(input.expire_time));
      },
      std::move(done));
}

void SqliteInputRows::Use(std::string tenant, std::string sha256, Job::WallTime expire_time,
                          Answer<KeptInput> done) {
  PostFor<KeptInput>(
      writer_, "UseInput",
      [tenant = std::move(tenant), sha256 = std::move(sha256), expire_time](
          Connection& connection) { return Renew(connection, tenant, sha256, expire_time); },
      std::move(done));
}

void SqliteInputRows::DropExpired(Job::WallTime now, Answer<std::vector<KeptInput>> done) {
  PostFor<std::vector<KeptInput>>(
      writer_, "DropInputs", [now](Connection& connection) { return Drop(connection, now); },
      std::move(done));
}

absl::StatusOr<std::vector<KeptInput>> SqliteInputRows::All() const {
  return readers_.Read([](Connection& connection) {
    return ReadInputs(connection.Query("SELECT " COGWHEEL_COLUMNS " FROM kept_inputs"));
  });
}

}  // namespace cogwheel
