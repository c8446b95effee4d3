#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/mutex.h"
#include "server/job/answer.h"
#include "server/metrics/server_metrics.h"
#include "server/store/sqlite/sqlite.h"

namespace cogwheel {

// The one thread that commits and that checkpoints, with its connection. What waits is committed
// together, in one transaction; a write that fails is undone alone. Thread-safe.
class StoreWriter {
 public:
  using Change = std::function<absl::Status(Connection&)>;
  using Done = std::function<void(absl::Status)>;
  struct Parts {
    std::unique_ptr<Connection> connection;
    ServerMetrics& metrics;
    std::function<void(Connection&)> after_commits;  // on the thread, outside any transaction
  };

  explicit StoreWriter(Parts parts);
  ~StoreWriter();  // after what waits
  StoreWriter(const StoreWriter&) = delete;
  StoreWriter& operator=(const StoreWriter&) = delete;

  enum class Origin {
    kCaller,  // refused when too much waits
    kServer,  // never refused: the jobs and groups that there are bound it
  };
  // `done` is called on the writer's thread once the change is durable or has failed, or here with
  // UNAVAILABLE (STORE) when too much waits. It must not wait for another write. `operation` names
  // the change in metrics.
  void Post(const char* operation, Change change, Done done, Origin origin = Origin::kCaller)
      COGWHEEL_EXCLUDES(mutex_);

 private:
  struct Write {
    const char* operation;
    Change change;
    Done done;
    absl::Status status;
  };
  using Batch = std::deque<Write>;
  void Loop() COGWHEEL_EXCLUDES(mutex_);
  void Commit(Batch& batch);
  absl::Status Apply(Batch& batch);
  void CheckpointIfLong();

  const Parts parts_;
  Mutex mutex_;
  CondVar changed_;
  Batch waiting_ COGWHEEL_GUARDED_BY(mutex_);
  bool stopped_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// StoreWriter::Post of a change that answers: `done` gets its value once it is durable.
template <typename Value>
void PostFor(StoreWriter& writer, const char* operation,
             std::function<absl::StatusOr<Value>(Connection&)> change, Answer<Value> done,
             StoreWriter::Origin origin = StoreWriter::Origin::kCaller) {
  auto value = std::make_shared<absl::StatusOr<Value>>(absl::UnknownError("not run"));
  writer.Post(
      operation,
      [value, change = std::move(change)](Connection& connection) {
        *value = change(connection);
        return value->status();
      },
      [value, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(*std::move(*value));
      },
      origin);
}

}  // namespace cogwheel
