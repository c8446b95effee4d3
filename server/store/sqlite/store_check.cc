#include "server/store/sqlite/store_check.h"

#include <filesystem>
#include <map>
#include <system_error>
#include <utility>
#include <vector>

#include <absl/strings/str_cat.h>

#include "server/job/store_error.h"
#include "server/store/files/result_files.h"
#include "server/store/sqlite/job_removal.h"
#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/sqlite.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr char kDatabase[] = "database", kTotals[] = "totals", kResults[] = "results",
               kInputs[] = "inputs";
constexpr char kRestore[] = "restore a backup";
constexpr size_t kMostFaults = 20;  // of one kind: a lost disk has one cause

class StoreChecker {
 public:
  StoreChecker(fs::path folder, Connection& connection)
      : folder_(std::move(folder)), connection_(connection) {}

  // Not OK when the database itself cannot be read any further.
  absl::Status Run() {
    absl::Status status = connection_.Run("BEGIN");
    if (status.ok()) status = Integrity();
    if (status.ok()) status = Jobs();
    if (status.ok()) status = Totals();
    if (status.ok()) status = Results();
    if (status.ok()) status = Inputs();
    return status;
  }
  Findings Take() { return std::move(findings_); }
  void Add(FindingLevel level, const char* check, std::string what, const char* way_out = "") {
    if (level == FindingLevel::kFault && ++faults_[check] > kMostFaults) return;
    findings_.push_back({level, check, std::move(what), way_out});
  }

 private:
  absl::Status Integrity();
  absl::Status Jobs();
  absl::Status Totals();
  absl::Status Results();
  absl::Status Inputs();
  absl::Status Missing(const std::string& job, const Artefact& result);
  void Close(const char* check, const std::string& good) {
    if (faults_[check] == 0) return Add(FindingLevel::kOk, check, good);
    const size_t faults = faults_[check];
    if (faults > kMostFaults) {
      findings_.push_back({FindingLevel::kFault, check,
                           absl::StrCat(faults - kMostFaults, " more of the kind"), kRestore});
    }
  }

  const fs::path folder_;
  Connection& connection_;
  Findings findings_;
  std::map<std::string, size_t> faults_;
};

absl::Status StoreChecker::Integrity() {
  for (const char* pragma : {"PRAGMA integrity_check(20)", "PRAGMA foreign_key_check"}) {
    Statement rows = connection_.Query(pragma);
    for (;;) {
      const absl::StatusOr<bool> row = rows.Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      if (rows.Text(0) != "ok") Add(FindingLevel::kFault, kDatabase, rows.Text(0), kRestore);
    }
  }
  Close(kDatabase, "every page and index is as it should be");
  return absl::OkStatus();
}

absl::Status StoreChecker::Jobs() {
  const absl::StatusOr<int64_t> jobs = connection_.Number("SELECT COUNT(*) FROM jobs");
  const absl::StatusOr<int64_t> waiting =
      connection_.Number("SELECT COUNT(*) FROM jobs WHERE state < 2");
  if (!jobs.ok() || !waiting.ok()) return jobs.ok() ? waiting.status() : jobs.status();
  Add(FindingLevel::kFact, "jobs", absl::StrCat(*jobs, ", of which ", *waiting, " are unfinished"));
  return absl::OkStatus();
}

// What was accepted and has not ended must be in the table of jobs, and nothing else.
absl::Status StoreChecker::Totals() {
  const absl::StatusOr<JobTotals> totals = ReadTotals(connection_);
  if (!totals.ok()) return totals.status();
  std::map<std::pair<std::string, std::string>, int64_t> owed;  // model, tenant
  for (const auto& [key, count] : totals->counts) {
    owed[{key.model, key.tenant}] += key.state.has_value() ? -count : count;
  }
  Statement rows = connection_.Query("SELECT tenant, request FROM jobs WHERE state < 2");
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    v1::GenerateRequest request;
    request.ParseFromString(rows.Text(1));
    --owed[{request.model(), rows.Text(0)}];
  }
  for (const auto& [key, count] : owed) {
    if (count == 0) continue;
    Add(FindingLevel::kFault, kTotals,
        absl::StrCat("model ", key.first, " of tenant ", key.second, ": ", count,
                     " more jobs are accepted than have ended or are there"),
        kRestore);
  }
  Close(kTotals, "they are those of the jobs");
  return absl::OkStatus();
}

absl::Status StoreChecker::Results() {
  if (!fs::exists(folder_ / "artefacts")) {
    Add(FindingLevel::kFact, kResults, "none here: it is a backup, or nothing has run yet");
    return absl::OkStatus();
  }
  std::vector<std::pair<std::string, Artefact>> suspects;
  int64_t count = 0;
  {
    Statement rows = connection_.Query(
        "SELECT name, result_bytes, result_sha256, result_media_type FROM jobs"
        " WHERE result_sha256 IS NOT NULL AND result_expired = 0");
    for (;; ++count) {
      const absl::StatusOr<bool> row = rows.Step();
      if (!row.ok()) return row.status();
      if (!*row) break;
      const Artefact result{rows.Int(1), rows.Text(2), rows.Text(3)};
      std::error_code error;
      const auto size = fs::file_size(folder_ / ArtefactPath(result), error);
      if (error || static_cast<int64_t>(size) != result.size_bytes) {
        suspects.emplace_back(rows.Text(0), result);
      }
    }
  }
  // As it is now: what went meanwhile is no fault.
  absl::Status status = connection_.Run("ROLLBACK");
  for (const auto& [job, result] : suspects) {
    if (status.ok()) status = Missing(job, result);
  }
  Close(kResults, absl::StrCat(count, " are there, each with its size"));
  return status;
}

absl::Status StoreChecker::Missing(const std::string& job, const Artefact& result) {
  const absl::StatusOr<bool> owned = OwnsResult(connection_, result.sha256);
  if (!owned.ok() || !*owned) return owned.status();
  std::error_code error;
  const auto size = fs::file_size(folder_ / ArtefactPath(result), error);
  if (!error && static_cast<int64_t>(size) == result.size_bytes) return absl::OkStatus();
  Add(FindingLevel::kFault, kResults,
      absl::StrCat(job, ": ", ArtefactPath(result),
                   error ? " is missing"
                         : absl::StrCat(" has ", size, " bytes in place of ", result.size_bytes)),
      "copy it back, or delete the job");
  return absl::OkStatus();
}

absl::Status StoreChecker::Inputs() {
  if (!fs::exists(folder_ / "inputs")) return absl::OkStatus();
  Statement rows = connection_.Query(
      "SELECT name, image_sha256 FROM jobs WHERE state < 2 AND image_sha256 <> ''");
  for (;;) {
    const absl::StatusOr<bool> row = rows.Step();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const fs::path path = folder_ / "inputs" / rows.Text(1);
    if (fs::exists(path)) continue;
    Add(FindingLevel::kFault, kInputs, absl::StrCat(rows.Text(0), ": its picture is missing"),
        "cancel the job");
  }
  Close(kInputs, "those that jobs wait with are there");
  return absl::OkStatus();
}

}  // namespace

Findings CheckStore(const std::string& folder) {
  const fs::path path = fs::path(folder) / "cogwheel.sqlite";
  std::error_code error;
  if (!fs::exists(path, error)) {
    return {{FindingLevel::kFault, kDatabase, absl::StrCat(path.string(), " does not exist"),
             "name a data directory or a backup with --data-dir"}};
  }
  const auto connection = Connection::OpenForCheck(path.string());
  if (!connection.ok()) {
    return {{FindingLevel::kFault, kDatabase, StoreDetail(connection.status()), kRestore}};
  }
  StoreChecker checker(folder, **connection);
  const absl::Status read = checker.Run();
  if (!read.ok()) {
    checker.Add(FindingLevel::kFault, kDatabase, StoreDetail(read), kRestore);
  }
  return checker.Take();
}

}  // namespace cogwheel
