#include "server/store/sqlite/sqlite_operate_store.h"

#include <memory>

#include "server/store/sqlite/job_table.h"
#include "server/store/sqlite/operate_table.h"
#include "server/store/sqlite/store_backup.h"

namespace cogwheel {

void SqliteOperateStore::DrainGroup(std::string name, Job::WallTime now, Done done) {
  parts_.writer.Post(
      "DrainGroup",
      [name = std::move(name), now](Connection& connection) {
        return InsertDrained(connection, name, now);
      },
      std::move(done));
}

void SqliteOperateStore::ResumeGroup(std::string name, Done done) {
  parts_.writer.Post(
      "ResumeGroup",
      [name = std::move(name)](Connection& connection) { return DeleteDrained(connection, name); },
      std::move(done));
}

void SqliteOperateStore::Pause(PauseTarget target, std::string reason, Job::WallTime now,
                               Done done) {
  parts_.writer.Post(
      "Pause",
      [target = std::move(target), reason = std::move(reason), now](Connection& connection) {
        return InsertPaused(connection, target, reason, now);
      },
      std::move(done));
}

void SqliteOperateStore::Unpause(PauseTarget target, Done done) {
  parts_.writer.Post(
      "Unpause",
      [target = std::move(target)](Connection& connection) {
        return DeletePaused(connection, target);
      },
      std::move(done));
}

void SqliteOperateStore::RetireModel(std::string name, Done done) {
  parts_.writer.Post(
      "RetireModel",
      [name = std::move(name)](Connection& connection) {
        return cogwheel::RetireModel(connection, name);
      },
      std::move(done));
}

void SqliteOperateStore::Purge(PurgeOrder order, Answer<Removed> done) {
  const auto removed = std::make_shared<Removed>();
  parts_.writer.Post(
      "Purge",
      [removed, order = std::move(order)](Connection& connection) {
        absl::StatusOr<Removed> gone = PurgeJobs(connection, order);
        if (gone.ok()) *removed = *std::move(gone);
        return gone.status();
      },
      [removed, done = std::move(done)](absl::Status status) {
        if (!status.ok()) return done(std::move(status));
        done(std::move(*removed));
      });
}

absl::StatusOr<OperatorOrders> SqliteOperateStore::Orders() const {
  return parts_.readers.Read(ReadOrders);
}

absl::StatusOr<Job> SqliteOperateStore::Find(const std::string& name) const {
  return parts_.readers.Read([&](Connection& connection) { return KnownJob(connection, name); });
}

absl::StatusOr<BackupMade> SqliteOperateStore::BackUp(const std::string& folder,
                                                      const std::string& name) const {
  if (backing_up_.exchange(true)) return BackupError("another backup is being made");
  absl::StatusOr<BackupMade> made = BackUpDatabase(parts_.database, folder, name);
  backing_up_ = false;
  return made;
}

}  // namespace cogwheel
