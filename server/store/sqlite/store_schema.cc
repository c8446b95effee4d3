#include "server/store/sqlite/store_schema.h"

#include <iterator>
#include <vector>

#include <absl/strings/str_cat.h>

namespace cogwheel {
namespace {

// One entry a version: what leads from the one before to it. Entries are never edited, only added.
// Times are nanoseconds since 1970; states are JobState; a total's state -1 means accepted.
const std::vector<const char*> kVersions[] = {
    {
        "CREATE TABLE jobs ("
        " name TEXT PRIMARY KEY, tenant TEXT NOT NULL, state INTEGER NOT NULL,"
        " attempt INTEGER NOT NULL, epoch INTEGER NOT NULL, charges INTEGER NOT NULL,"
        " group_name TEXT NOT NULL, request BLOB NOT NULL, image_bytes INTEGER NOT NULL,"
        " image_sha256 TEXT NOT NULL, cancel_requested INTEGER NOT NULL,"
        " create_time INTEGER NOT NULL, start_time INTEGER, end_time INTEGER,"
        " error_code INTEGER NOT NULL, error_reason TEXT NOT NULL, error_message TEXT NOT NULL,"
        " result_bytes INTEGER, result_sha256 TEXT, result_media_type TEXT,"
        " result_expired INTEGER NOT NULL, text_encode_s REAL NOT NULL, denoise_s REAL NOT NULL,"
        " decode_s REAL NOT NULL, encode_s REAL NOT NULL, last_sequence INTEGER NOT NULL"
        ") WITHOUT ROWID",
        "CREATE INDEX jobs_of_tenant ON jobs (tenant, name)",
        "CREATE INDEX unfinished_jobs ON jobs (name) WHERE state < 2",
        "CREATE INDEX finished_jobs ON jobs (name) WHERE state >= 2",
        "CREATE INDEX inputs ON jobs (image_sha256) WHERE state < 2",
        "CREATE INDEX kept_results ON jobs (name, end_time, result_bytes)"
        " WHERE result_sha256 IS NOT NULL AND result_expired = 0",
        "CREATE INDEX owned_results ON jobs (result_sha256)"
        " WHERE result_sha256 IS NOT NULL AND result_expired = 0",
        "CREATE TABLE keys ("
        " tenant TEXT NOT NULL, request_id TEXT NOT NULL, hash TEXT NOT NULL,"
        " job TEXT NOT NULL REFERENCES jobs (name) ON DELETE CASCADE, created INTEGER NOT NULL,"
        " PRIMARY KEY (tenant, request_id)) WITHOUT ROWID",
        "CREATE INDEX key_of_job ON keys (job)",
        "CREATE INDEX keys_by_age ON keys (created)",
        "CREATE TABLE totals ("
        " model TEXT NOT NULL, tenant TEXT NOT NULL, state INTEGER NOT NULL,"
        " reason TEXT NOT NULL, count INTEGER NOT NULL,"
        " PRIMARY KEY (model, tenant, state, reason)) WITHOUT ROWID",
        "CREATE TABLE models (name TEXT PRIMARY KEY, position INTEGER NOT NULL,"
        " description BLOB NOT NULL) WITHOUT ROWID",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    },
};
constexpr int64_t kVersion = std::size(kVersions);

// Columns that came later. They raise no version: the release before names the columns that it uses
// and leaves these at their default, so it can open the file again. A job's warnings are lines; a
// model's digest is its description's where this release wrote both (model_table.cc).
struct AddedColumn {
  const char *table, *name, *type;
};
constexpr AddedColumn kAdded[] = {{"jobs", "model_digest", "TEXT NOT NULL DEFAULT ''"},
                                  {"jobs", "warnings", "TEXT NOT NULL DEFAULT ''"},
                                  {"jobs", "held", "INTEGER NOT NULL DEFAULT 0"},
                                  {"models", "digest", "TEXT NOT NULL DEFAULT ''"}};

// Tables that came later. They raise no version either: the release before does not look at them.
constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS paused ("  // kind: model or tenant
    " kind TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL, since INTEGER NOT NULL,"
    " PRIMARY KEY (kind, name)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS drained_groups ("
    " name TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID",
};

absl::Status Refuse(const std::string& path, const std::string& why) {
  return absl::FailedPreconditionError(absl::StrCat(path, " ", why));
}

absl::Status CheckIntegrity(Connection& connection, const std::string& path) {
  Statement check = connection.Query("PRAGMA quick_check(1)");
  const absl::StatusOr<bool> row = check.Step();
  if (!row.ok()) return row.status();
  if (check.Text(0) == "ok") return absl::OkStatus();
  return Refuse(path, absl::StrCat("is damaged: ", check.Text(0)));
}

absl::StatusOr<std::vector<AddedColumn>> MissingColumns(Connection& connection) {
  std::vector<AddedColumn> missing;
  for (const AddedColumn& column : kAdded) {
    const absl::StatusOr<int64_t> there =
        connection.Number("SELECT COUNT(*) FROM pragma_table_info(?1) WHERE name = ?2",
                          std::string(column.table), std::string(column.name));
    if (!there.ok()) return there.status();
    if (*there == 0) missing.push_back(column);
  }
  return missing;
}

absl::Status Migrate(Connection& connection, int64_t from,
                     const std::vector<AddedColumn>& missing) {
  absl::Status status = connection.Run("BEGIN IMMEDIATE");
  for (int64_t version = from; version < kVersion; ++version) {
    for (const char* change : kVersions[version]) {
      if (status.ok()) status = connection.Run(change);
    }
  }
  for (const AddedColumn& column : missing) {
    if (!status.ok()) break;
    status = connection.Run(
        absl::StrCat("ALTER TABLE ", column.table, " ADD COLUMN ", column.name, " ", column.type));
  }
  if (status.ok()) status = connection.Run(absl::StrCat("PRAGMA user_version = ", kVersion));
  if (status.ok()) status = connection.Run("COMMIT");
  return status;
}

}  // namespace

absl::Status PrepareSchema(Connection& connection, const std::string& path) {
  const absl::Status intact = CheckIntegrity(connection, path);
  if (!intact.ok()) return intact;
  const absl::StatusOr<int64_t> version = connection.Number("PRAGMA user_version");
  if (!version.ok()) return version.status();
  if (*version > kVersion) {
    return Refuse(path, absl::StrCat("has schema version ", *version,
                                     "; this program knows versions up to ", kVersion));
  }
  const absl::StatusOr<std::vector<AddedColumn>> missing = MissingColumns(connection);
  if (!missing.ok()) return missing.status();
  if (*version < kVersion || !missing->empty()) {
    const absl::Status migrated = Migrate(connection, *version, *missing);
    if (!migrated.ok()) return migrated;
  }
  for (const char* table : kTables) {
    const absl::Status made = connection.Run(table);
    if (!made.ok()) return made;
  }
  return absl::OkStatus();
}

}  // namespace cogwheel
