#include "server/store/sqlite/store_writer.h"

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include <absl/strings/cord.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/job/fault.h"
#include "server/job/store_error.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxWaiting = 1024, kMaxBatch = 128;
constexpr int kLongLogPages = 1000;  // 4 MiB

// For a status that goes to another thread than its like.
absl::Status OwnCopy(const absl::Status& status) {
  absl::Status copy(status.code(), status.message());
  status.ForEachPayload([&copy](absl::string_view url, const absl::Cord& payload) {
    copy.SetPayload(url, absl::Cord(std::string(payload)));
  });
  return copy;
}

}  // namespace

StoreWriter::StoreWriter(Parts parts) : parts_(std::move(parts)), thread_([this] { Loop(); }) {}

StoreWriter::~StoreWriter() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void StoreWriter::Post(const char* operation, Change change, Done done, Origin origin) {
  {
    MutexLock lock(mutex_);
    if (origin == Origin::kServer || waiting_.size() < kMaxWaiting) {
      waiting_.push_back({operation, std::move(change), std::move(done), absl::OkStatus()});
      changed_.NotifyAll();
      return;
    }
  }
  parts_.metrics.store_errors_total.Increment({operation, "BUSY"});
  done(MakeError(absl::StatusCode::kUnavailable, "STORE", "too many writes wait for the disk"));
}

void StoreWriter::Loop() {
  constexpr std::chrono::seconds kTurn{1};  // every wait has a limit
  for (;;) {
    Batch batch;
    {
      MutexLock lock(mutex_);
      changed_.WaitFor(mutex_, kTurn, [this]() COGWHEEL_REQUIRES(mutex_) {
        return stopped_ || !waiting_.empty();
      });
      if (waiting_.empty() && stopped_) return;
      const size_t count = std::min(waiting_.size(), kMaxBatch);
      const auto end = waiting_.begin() + static_cast<std::ptrdiff_t>(count);
      std::move(waiting_.begin(), end, std::back_inserter(batch));
      waiting_.erase(waiting_.begin(), end);
    }
    if (batch.empty()) continue;
    Commit(batch);
    for (Write& write : batch) {
      if (IsStoreFault(write.status)) {
        parts_.metrics.store_errors_total.Increment({write.operation, ErrorReason(write.status)});
      }
      if (absl::IsInternal(write.status)) {  // a bug: nobody else knows what it was
        Log(LogLevel::kError, "the store refuses a change for good",
            {{"operation", write.operation}, {"error", StoreDetail(write.status)}});
      }
      write.done(std::move(write.status));  // nothing of it stays with this thread
    }
    parts_.after_commits(*parts_.connection);
    CheckpointIfLong();
  }
}

void StoreWriter::Commit(Batch& batch) {
  const auto start = std::chrono::steady_clock::now();
  absl::Status committed = Apply(batch);
  if (committed.ok()) {
    Failpoint("store.before_commit");
    committed = parts_.connection->Run("COMMIT");
    Failpoint("store.after_commit");
  }
  if (!committed.ok()) {  // no answer may rest on what has not become true
    if (parts_.connection->in_transaction()) parts_.connection->Run("ROLLBACK").IgnoreError();
    Log(LogLevel::kError, "the store cannot commit", {{"error", StoreDetail(committed)}});
    for (Write& write : batch) write.status = OwnCopy(committed);
    return;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
  parts_.metrics.store_commit_duration_seconds.Observe(took.count());
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  parts_.metrics.store_last_commit_timestamp_seconds.Set(now.count());
}

// Not OK when the whole transaction is lost.
absl::Status StoreWriter::Apply(Batch& batch) {
  Connection& connection = *parts_.connection;
  absl::Status status = connection.Run("BEGIN IMMEDIATE");
  for (Write& write : batch) {
    if (status.ok()) status = connection.Run("SAVEPOINT one");
    if (!status.ok()) return status;
    write.status = write.change(connection);
    if (!connection.in_transaction()) return write.status;  // SQLite has undone all of it
    if (!write.status.ok()) status = connection.Run("ROLLBACK TO one");
    if (status.ok()) status = connection.Run("RELEASE one");
  }
  return status;
}

void StoreWriter::CheckpointIfLong() {
  if (parts_.connection->wal_pages() < kLongLogPages) return;
  const absl::Status done = parts_.connection->Checkpoint();
  if (!done.ok()) parts_.metrics.store_errors_total.Increment({"checkpoint", ErrorReason(done)});
}

}  // namespace cogwheel
