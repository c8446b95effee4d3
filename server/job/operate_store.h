#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <set>
#include <string>

#include <absl/status/statusor.h>

#include "server/job/answer.h"
#include "server/job/job.h"
#include "server/job/job_store.h"

namespace cogwheel {

// Whose jobs are not to start.
struct PauseTarget {
  enum class Kind { kModel, kTenant };
  Kind kind = Kind::kModel;
  std::string name;
  auto operator<=>(const PauseTarget&) const = default;
};

// What operators want until they say otherwise.
struct OperatorOrders {
  std::map<PauseTarget, std::string> paused;  // each with its reason, which may be empty
  std::set<std::string> drained;              // names of groups, also of such that never joined
};

// A piece of a purge: a tenant's finished jobs, in the order of their names.
struct PurgeOrder {
  std::string tenant;
  Job::WallTime ended_before{};
  std::string after_name;  // names above it; empty = from the first
  int limit = 0;           // > 0
};

struct BackupMade {
  std::string name;
  int64_t size_bytes = 0;
};

// What an operator changes in the store beside jobs' courses. Thread-safe; waits, answers and fails
// as JobStore does. Repeating an order changes nothing.
class OperateStore {
 public:
  virtual ~OperateStore() = default;

  virtual void DrainGroup(std::string name, Job::WallTime now, Done done) = 0;
  virtual void ResumeGroup(std::string name, Done done) = 0;
  virtual void Pause(PauseTarget target, std::string reason, Job::WallTime now, Done done) = 0;
  virtual void Unpause(PauseTarget target, Done done) = 0;
  // NOT_FOUND (UNKNOWN_MODEL); FAILED_PRECONDITION (MODEL_JOBS) while jobs of it have not ended.
  virtual void RetireModel(std::string name, Done done) = 0;
  // With their keys and results. Answers in the order's order.
  virtual void Purge(PurgeOrder order, Answer<Removed> done) = 0;

  // These read and may take long.
  virtual absl::StatusOr<OperatorOrders> Orders() const = 0;
  // A job of whichever tenant. NOT_FOUND (UNKNOWN_JOB).
  virtual absl::StatusOr<Job> Find(const std::string& name) const = 0;
  // All rows as they are at one moment, in a new folder `name` of `folder`: there whole, or not at
  // all. ALREADY_EXISTS (BACKUP_EXISTS); UNAVAILABLE (BACKUP) when it cannot be written.
  virtual absl::StatusOr<BackupMade> BackUp(const std::string& folder,
                                            const std::string& name) const = 0;
};

}  // namespace cogwheel
