#include "server/store/sqlite/sqlite.h"

#include <filesystem>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>
#include <sqlite3.h>

#include "server/job/store_error.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {
namespace {

constexpr int kBusyMilliseconds = 5000;

bool IsFailedSync(int code) {
  return code == SQLITE_IOERR_FSYNC || code == SQLITE_IOERR_DIR_FSYNC ||
         code == SQLITE_IOERR_TRUNCATE;
}

// A change that breaks the schema's rules will break them again. A damaged file is the store's
// fault, not the job's that met it.
StoreFault FaultOf(int code) {
  switch (code & 0xFF) {
    case SQLITE_FULL:
      return StoreFault::kFull;
    case SQLITE_CONSTRAINT:
    case SQLITE_TOOBIG:
    case SQLITE_MISMATCH:
    case SQLITE_RANGE:
      return StoreFault::kRefused;
    default:
      return StoreFault::kFailed;
  }
}

absl::Status SqliteError(const std::string& path, int code) {
  return StoreError(FaultOf(code),
                    absl::StrCat(path, ": ", sqlite3_errstr(code), " (SQLite ", code, ")"));
}

}  // namespace

Statement::Statement(Connection& connection, sqlite3_stmt* statement, absl::Status prepared)
    : connection_(connection), statement_(statement), status_(std::move(prepared)) {}

Statement::Statement(Statement&& other) noexcept
    : connection_(other.connection_),
      statement_(std::exchange(other.statement_, nullptr)),
      status_(std::move(other.status_)),
      bound_(other.bound_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

void Statement::Bound(int code) {
  if (code != SQLITE_OK && status_.ok()) status_ = connection_.Error(code);
}

void Statement::Bind(int64_t value) { Bound(sqlite3_bind_int64(statement_, ++bound_, value)); }

void Statement::Bind(double value) { Bound(sqlite3_bind_double(statement_, ++bound_, value)); }

void Statement::Bind(std::string_view text) {
  Bound(sqlite3_bind_text64(statement_, ++bound_, text.data(), text.size(), SQLITE_TRANSIENT,
                            SQLITE_UTF8));
}

void Statement::Bind(const std::optional<int64_t>& value) {
  if (value.has_value()) return Bind(*value);
  Bound(sqlite3_bind_null(statement_, ++bound_));
}

void Statement::BindBytes(std::string_view bytes) {
  Bound(sqlite3_bind_blob64(statement_, ++bound_, bytes.data(), bytes.size(), SQLITE_TRANSIENT));
}

absl::StatusOr<bool> Statement::Step() {
  if (!status_.ok()) return status_;
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return connection_.Error(code);
}

absl::Status Statement::Finish() {
  for (;;) {
    const absl::StatusOr<bool> row = Step();
    if (!row.ok() || !*row) return row.status();
  }
}

int64_t Statement::Int(int column) const { return sqlite3_column_int64(statement_, column); }

double Statement::Real(int column) const { return sqlite3_column_double(statement_, column); }

std::string Statement::Text(int column) const {
  const void* bytes = sqlite3_column_blob(statement_, column);
  const int size = sqlite3_column_bytes(statement_, column);
  return size == 0 ? "" : std::string(static_cast<const char*>(bytes), static_cast<size_t>(size));
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

absl::StatusOr<std::vector<std::string>> Statement::Texts() {
  std::vector<std::string> texts;
  for (;;) {
    const absl::StatusOr<bool> row = Step();
    if (!row.ok()) return row.status();
    if (!*row) return texts;
    texts.push_back(Text(0));
  }
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const std::string& path,
                                                             const std::string& vfs, Mode mode) {
  // A reader too opens for writing: the first one must be able to recover the log.
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle, kFlags, vfs.empty() ? nullptr : vfs.c_str());
  std::unique_ptr<Connection> connection(new Connection(handle, path));
  if (code != SQLITE_OK) return SqliteError(path, code);
  const absl::Status configured = connection->Configure(mode);
  if (!configured.ok()) return configured;
  return connection;
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::OpenForCheck(const std::string& path) {
  constexpr int kFlags = SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI;
  std::error_code error;
  const bool still = !std::filesystem::exists(path + "-wal", error);
  const std::string uri =
      absl::StrCat("file:", absl::StrReplaceAll(path, {{"%", "%25"}, {"?", "%3f"}, {"#", "%23"}}),
                   still ? "?immutable=1" : "");
  sqlite3* handle = nullptr;
  const int code = sqlite3_open_v2(uri.c_str(), &handle, kFlags, /*zVfs=*/nullptr);
  std::unique_ptr<Connection> connection(new Connection(handle, path));
  if (code != SQLITE_OK) return SqliteError(path, code);
  sqlite3_busy_timeout(handle, kBusyMilliseconds);
  return connection;
}

absl::Status Connection::Configure(Mode mode) {
  sqlite3_extended_result_codes(handle_, 1);
  sqlite3_busy_timeout(handle_, kBusyMilliseconds);
  // SQLite hides the errors of the checkpoints it does by itself: the writer does them by name.
  sqlite3_db_config(handle_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  sqlite3_wal_hook(
      handle_,
      [](void* self, sqlite3*, const char*, int pages) {
        static_cast<Connection*>(self)->wal_pages_ = pages;
        return SQLITE_OK;
      },
      this);
  const char* settings[] = {"PRAGMA foreign_keys = ON", "PRAGMA journal_mode = WAL",
                            "PRAGMA synchronous = FULL",
                            mode == Mode::kRead ? "PRAGMA query_only = ON" : nullptr};
  for (const char* setting : settings) {
    if (setting == nullptr) continue;
    const absl::Status set = Run(setting);
    if (!set.ok()) return set;
  }
  return absl::OkStatus();
}

Connection::~Connection() {
  for (const auto& [sql, statement] : prepared_) sqlite3_finalize(statement);
  sqlite3_close(handle_);
}

Statement Connection::Prepare(std::string_view sql) {
  const auto known = prepared_.find(sql);
  if (known != prepared_.end()) return {*this, known->second, absl::OkStatus()};
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(handle_, sql.data(), static_cast<int>(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement, /*tail=*/nullptr);
  if (code != SQLITE_OK) return {*this, nullptr, Error(code)};
  prepared_.emplace(sql, statement);
  return {*this, statement, absl::OkStatus()};
}

absl::Status Connection::Error(int code) const {
  if (IsFailedSync(code)) EndOnFailedSync(path_, sqlite3_errstr(code));
  return SqliteError(path_, code);
}

int64_t Connection::changed_rows() const { return sqlite3_changes64(handle_); }

bool Connection::in_transaction() const { return sqlite3_get_autocommit(handle_) == 0; }

absl::Status Connection::Checkpoint() {
  const int code = sqlite3_wal_checkpoint_v2(handle_, /*schema=*/nullptr, SQLITE_CHECKPOINT_PASSIVE,
                                             nullptr, nullptr);
  return code == SQLITE_OK ? absl::OkStatus() : Error(code);
}

absl::Status Connection::CopyTo(const std::string& path) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX;
  sqlite3* target = nullptr;
  int code = sqlite3_open_v2(path.c_str(), &target, kFlags, /*zVfs=*/nullptr);
  if (code == SQLITE_OK) {
    sqlite3_backup* copy = sqlite3_backup_init(target, "main", handle_, "main");
    if (copy != nullptr) sqlite3_backup_step(copy, /*nPage=*/-1);  // all: its error comes again
    code = copy != nullptr ? sqlite3_backup_finish(copy) : sqlite3_errcode(target);
  }
  sqlite3_close(target);
  return code == SQLITE_OK ? absl::OkStatus() : SqliteError(path, code);
}

}  // namespace cogwheel
