#pragma once

#include <atomic>
#include <string>
#include <utility>

#include "server/job/operate_store.h"
#include "server/store/sqlite/reader_pool.h"
#include "server/store/sqlite/store_writer.h"

namespace cogwheel {

// Operators' orders beside the jobs of a SqliteJobStore, whose writer and readers it uses.
// Thread-safe.
class SqliteOperateStore final : public OperateStore {
 public:
  struct Parts {
    std::string database;  // its file
    StoreWriter& writer;
    ReaderPool& readers;
  };
  explicit SqliteOperateStore(Parts parts) : parts_(std::move(parts)) {}

  void DrainGroup(std::string name, Job::WallTime now, Done done) override;
  void ResumeGroup(std::string name, Done done) override;
  void Pause(PauseTarget target, std::string reason, Job::WallTime now, Done done) override;
  void Unpause(PauseTarget target, Done done) override;
  void RetireModel(std::string name, Done done) override;
  void Purge(PurgeOrder order, Answer<Removed> done) override;
  absl::StatusOr<OperatorOrders> Orders() const override;
  absl::StatusOr<Job> Find(const std::string& name) const override;
  // One at a time: UNAVAILABLE (BACKUP) while another is made.
  absl::StatusOr<BackupMade> BackUp(const std::string& folder,
                                    const std::string& name) const override;

 private:
  const Parts parts_;
  mutable std::atomic<bool> backing_up_{false};
};

}  // namespace cogwheel
