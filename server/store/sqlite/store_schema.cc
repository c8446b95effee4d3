#include "server/store/sqlite/store_schema.h"

#include <iterator>
#include <string>
#include <vector>

#include <absl/strings/str_cat.h>

#include "server/store/sqlite/database_copy.h"

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

// What came later raises no version: the release before names the columns that it uses and leaves
// these at their default, and knows nothing of these tables, so it can open the file again. A job's
// warnings are lines; a model's digest is its description's where this release wrote both
// (model_table.cc).
struct AddedColumn {
  const char *table, *name, *type;
};
constexpr AddedColumn kColumns[] = {{"jobs", "model_digest", "TEXT NOT NULL DEFAULT ''"},
                                    {"jobs", "warnings", "TEXT NOT NULL DEFAULT ''"},
                                    {"jobs", "held", "INTEGER NOT NULL DEFAULT 0"},
                                    {"models", "digest", "TEXT NOT NULL DEFAULT ''"}};
// Tables and indices.
struct AddedTable {
  const char *name, *sql;
};
constexpr AddedTable kTables[] = {
    {"kept_inputs",
     "CREATE TABLE kept_inputs (tenant TEXT NOT NULL, sha256 TEXT NOT NULL,"
     " size_bytes INTEGER NOT NULL, image_refusal TEXT NOT NULL, expire_time INTEGER NOT NULL,"
     " PRIMARY KEY (sha256, tenant)) WITHOUT ROWID"},
    // What operators want; kind: model or tenant.
    {"paused",
     "CREATE TABLE paused (kind TEXT NOT NULL, name TEXT NOT NULL, reason TEXT NOT NULL,"
     " since INTEGER NOT NULL, PRIMARY KEY (kind, name)) WITHOUT ROWID"},
    {"drained_groups",
     "CREATE TABLE drained_groups (name TEXT PRIMARY KEY, since INTEGER NOT NULL) WITHOUT ROWID"},
    // Of each tenant, the oldest first. (kept_results is of use to the release before alone.)
    {"finished_of_tenant",
     "CREATE INDEX finished_of_tenant ON jobs (tenant, name) WHERE state >= 2"},
    {"kept_of_tenant",
     "CREATE INDEX kept_of_tenant ON jobs (tenant, name, result_bytes)"
     " WHERE result_sha256 IS NOT NULL AND result_expired = 0"},
    {"kept_by_age",
     "CREATE INDEX kept_by_age ON jobs (end_time)"
     " WHERE result_sha256 IS NOT NULL AND result_expired = 0"},
    // Keys of jobs that are gone; those of jobs that are there stand in `keys`, where the release
    // before removes them with their jobs.
    {"removed_keys",
     "CREATE TABLE removed_keys (tenant TEXT NOT NULL, request_id TEXT NOT NULL,"
     " hash TEXT NOT NULL, job TEXT NOT NULL, created INTEGER NOT NULL,"
     " PRIMARY KEY (tenant, request_id)) WITHOUT ROWID"},
    {"removed_keys_by_age", "CREATE INDEX removed_keys_by_age ON removed_keys (created)"},
    // By hour since 1970: what attempts used that ended in it.
    {"usage",
     "CREATE TABLE usage (hour INTEGER NOT NULL, tenant TEXT NOT NULL, model TEXT NOT NULL,"
     " gpu_seconds REAL NOT NULL, succeeded INTEGER NOT NULL, failed INTEGER NOT NULL,"
     " cancelled INTEGER NOT NULL, result_bytes INTEGER NOT NULL,"
     " PRIMARY KEY (hour, tenant, model)) WITHOUT ROWID"},
};

// All that the schema has ever become: the copy of an older file is named for it.
constexpr int64_t kChanges = kVersion + std::size(kColumns) + std::size(kTables);

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

// What is to be run so that the file has all that came later.
absl::StatusOr<std::vector<std::string>> Missing(Connection& connection) {
  std::vector<std::string> changes;
  for (const AddedColumn& column : kColumns) {
    const absl::StatusOr<int64_t> there =
        connection.Number("SELECT COUNT(*) FROM pragma_table_info(?1) WHERE name = ?2",
                          std::string(column.table), std::string(column.name));
    if (!there.ok()) return there.status();
    if (*there > 0) continue;
    changes.push_back(
        absl::StrCat("ALTER TABLE ", column.table, " ADD COLUMN ", column.name, " ", column.type));
  }
  for (const AddedTable& table : kTables) {
    const absl::StatusOr<int64_t> there = connection.Number(
        "SELECT COUNT(*) FROM sqlite_schema WHERE name = ?1", std::string(table.name));
    if (!there.ok()) return there.status();
    if (*there == 0) changes.push_back(table.sql);
  }
  return changes;
}

absl::Status Migrate(Connection& connection, int64_t from) {
  absl::Status status = connection.Run("BEGIN IMMEDIATE");
  for (int64_t version = from; version < kVersion; ++version) {
    for (const char* change : kVersions[version]) {
      if (status.ok()) status = connection.Run(change);
    }
  }
  if (!status.ok()) return status;
  const absl::StatusOr<std::vector<std::string>> missing = Missing(connection);
  if (!missing.ok()) return missing.status();
  for (const std::string& change : *missing) {
    if (status.ok()) status = connection.Run(change);
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
  if (*version == 0) return Migrate(connection, *version);  // a new file
  const absl::StatusOr<std::vector<std::string>> missing = Missing(connection);
  if (!missing.ok()) return missing.status();
  if (*version == kVersion && missing->empty()) return absl::OkStatus();
  const absl::Status copied = CopyDatabase(connection, absl::StrCat(path, ".before-", kChanges));
  if (!copied.ok()) return copied;
  return Migrate(connection, *version);
}

}  // namespace cogwheel
