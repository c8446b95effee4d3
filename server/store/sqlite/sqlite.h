#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

struct sqlite3;
struct sqlite3_stmt;

// SQLite's connections and statements, owned and with absl::Status. Errors are StoreErrors; a
// failed sync ends the process. Nothing else sees SQLite.
namespace cogwheel {

class Connection;

// A prepared statement in use; goes back to its connection when destroyed. Errors of preparing and
// binding come from the first step. One text is in use once at a time.
class Statement {
 public:
  Statement(Connection& connection, sqlite3_stmt* statement, absl::Status prepared);
  ~Statement();
  Statement(Statement&& other) noexcept;

  void Bind(int64_t value);
  void Bind(double value);
  void Bind(std::string_view text);
  void Bind(const std::optional<int64_t>& value);  // none = NULL
  void BindBytes(std::string_view bytes);

  // True when there is a row.
  absl::StatusOr<bool> Step();
  // Steps over what is left: only then has a statement done all its work.
  absl::Status Finish();
  // Of the current row; columns count from 0.
  int64_t Int(int column) const;
  double Real(int column) const;
  std::string Text(int column) const;  // or bytes
  bool IsNull(int column) const;
  // The first column of all rows.
  absl::StatusOr<std::vector<std::string>> Texts();

 private:
  void Bound(int code);
  Connection& connection_;
  sqlite3_stmt* statement_;
  absl::Status status_;
  int bound_ = 0;
};

// Bytes as a parameter: SQLite tells them from text.
struct Bytes {
  std::string_view bytes;
};

// Thread-compatible: its owner guards it.
class Connection {
 public:
  enum class Mode { kWrite, kRead };
  // `vfs` is a registered file system of SQLite; empty = the default one.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const std::string& path,
                                                          const std::string& vfs, Mode mode);
  // To look at a file that may be a running server's or lie still: nothing is written, also not
  // beside it unless it has a log.
  static absl::StatusOr<std::unique_ptr<Connection>> OpenForCheck(const std::string& path);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Parameters are ?1, ?2 ... in the order given. The text is prepared once.
  template <typename... Values>
  Statement Query(std::string_view sql, const Values&... values) {
    Statement statement = Prepare(sql);
    (BindOne(statement, values), ...);
    return statement;
  }
  // Without rows that matter.
  template <typename... Values>
  absl::Status Run(std::string_view sql, const Values&... values) {
    return Query(sql, values...).Finish();
  }
  // The first column of the first row; 0 when there is none.
  template <typename... Values>
  absl::StatusOr<int64_t> Number(std::string_view sql, const Values&... values) {
    Statement statement = Query(sql, values...);
    const absl::StatusOr<bool> row = statement.Step();
    if (!row.ok()) return row.status();
    if (!*row) return 0;
    const int64_t number = statement.Int(0);
    const absl::Status finished = statement.Finish();
    if (!finished.ok()) return finished;
    return number;
  }

  int64_t changed_rows() const;  // by the last statement
  bool in_transaction() const;
  int wal_pages() const { return wal_pages_; }  // after the last commit
  // Moves committed pages into the main file, as far as readers let it.
  absl::Status Checkpoint();
  // Copies the database, as it is now, into the empty file at `path`.
  absl::Status CopyTo(const std::string& path);

 private:
  friend class Statement;
  Connection(sqlite3* handle, std::string path) : handle_(handle), path_(std::move(path)) {}
  absl::Status Configure(Mode mode);
  Statement Prepare(std::string_view sql);
  absl::Status Error(int code) const;

  template <typename Value>
  static void BindOne(Statement& statement, const Value& value) {
    if constexpr (std::is_same_v<Value, Bytes>) {
      statement.BindBytes(value.bytes);
    } else if constexpr (std::is_integral_v<Value>) {
      statement.Bind(static_cast<int64_t>(value));
    } else {
      statement.Bind(value);
    }
  }

  sqlite3* handle_;
  const std::string path_;
  std::map<std::string, sqlite3_stmt*, std::less<>> prepared_;
  int wal_pages_ = 0;
};

}  // namespace cogwheel
