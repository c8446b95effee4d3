#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <type_traits>
#include <vector>

#include <absl/status/statusor.h>

#include "base/mutex.h"
#include "server/job/fault.h"
#include "server/job/store_error.h"
#include "server/store/sqlite/sqlite.h"

namespace cogwheel {

// Connections that only read, each lent to one caller at a time. None waits for writes.
// Thread-safe.
class ReaderPool {
 public:
  // A connection in hand; goes back when destroyed.
  class Lease {
   public:
    Lease(ReaderPool& pool, std::unique_ptr<Connection> connection)
        : pool_(pool), connection_(std::move(connection)) {}
    Lease(Lease&& other) noexcept = default;
    ~Lease();
    Connection& operator*() const { return *connection_; }

   private:
    ReaderPool& pool_;
    std::unique_ptr<Connection> connection_;
  };

  static absl::StatusOr<std::unique_ptr<ReaderPool>> Open(const std::string& path,
                                                          const std::string& vfs);
  // UNAVAILABLE (STORE) when all are in use for long.
  absl::StatusOr<Lease> Take() COGWHEEL_EXCLUDES(mutex_);
  // What `query` finds on a connection of its own.
  template <typename Query>
  std::invoke_result_t<Query, Connection&> Read(const Query& query) COGWHEEL_EXCLUDES(mutex_) {
    const absl::StatusOr<Lease> reader = Take();
    if (!reader.ok()) return reader.status();
    auto found = query(**reader);
    if (IsStoreFault(found.status())) LogNowAndThen(found.status());
    return found;
  }

 private:
  void LogNowAndThen(const absl::Status& failed) COGWHEEL_EXCLUDES(mutex_);
  void Return(std::unique_ptr<Connection> connection) COGWHEEL_EXCLUDES(mutex_);

  Mutex mutex_;
  CondVar returned_;
  std::vector<std::unique_ptr<Connection>> idle_ COGWHEEL_GUARDED_BY(mutex_);
  std::optional<std::chrono::steady_clock::time_point> logged_ COGWHEEL_GUARDED_BY(mutex_);
};

}  // namespace cogwheel
