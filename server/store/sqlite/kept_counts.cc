#include "server/store/sqlite/kept_counts.h"

namespace cogwheel {
namespace {

#define COGWHEEL_KEPT_BYTES(row) \
  "IIF(" row ".result_sha256 IS NOT NULL AND " row ".result_expired = 0, " row ".result_bytes, 0)"

constexpr const char* kCounting[] = {
    "PRAGMA temp_store = MEMORY",
    "CREATE TEMP TABLE kept (tenant TEXT PRIMARY KEY, jobs INTEGER NOT NULL,"
    " bytes INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO kept SELECT tenant, COUNT(*), 0 FROM jobs WHERE state >= 2 GROUP BY tenant",
    "UPDATE kept SET bytes = (SELECT COALESCE(SUM(result_bytes), 0) FROM jobs"
    " WHERE jobs.tenant = kept.tenant AND result_sha256 IS NOT NULL AND result_expired = 0)",
    "CREATE TEMP TRIGGER job_changed"
    " AFTER UPDATE OF state, result_bytes, result_sha256, result_expired ON main.jobs BEGIN"
    " INSERT INTO kept VALUES (NEW.tenant, 0, 0) ON CONFLICT DO NOTHING;"
    " UPDATE kept SET jobs = jobs + (NEW.state >= 2) - (OLD.state >= 2),"
    " bytes = bytes + " COGWHEEL_KEPT_BYTES("NEW") " - " COGWHEEL_KEPT_BYTES(
        "OLD") " WHERE tenant = NEW.tenant; END",
    "CREATE TEMP TRIGGER job_removed AFTER DELETE ON main.jobs BEGIN"
    " UPDATE kept SET jobs = jobs - (OLD.state >= 2), bytes = bytes - " COGWHEEL_KEPT_BYTES(
        "OLD") " WHERE tenant = OLD.tenant; END",
};

}  // namespace

absl::Status CountKept(Connection& connection) {
  for (const char* step : kCounting) {
    const absl::Status done = connection.Run(step);
    if (!done.ok()) return done;
  }
  return absl::OkStatus();
}

absl::StatusOr<Kept> ReadKept(Connection& connection) {
  Statement rows = connection.Query("SELECT tenant, jobs, bytes FROM kept");
  Kept kept;
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) return kept;
    kept.finished_jobs[rows.Text(0)] = rows.Int(1);
    kept.result_bytes[rows.Text(0)] = rows.Int(2);
  }
}

}  // namespace cogwheel
