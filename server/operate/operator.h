#pragma once

#include <atomic>
#include <string>
#include <utility>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/clock.h"
#include "cogwheel/v1/operate_service.pb.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/event_loop.h"
#include "server/events/event_log.h"
#include "server/groups/group_board.h"
#include "server/job/job_store.h"
#include "server/job/operate_store.h"
#include "server/job/result_store.h"
#include "server/schedule/standing_orders.h"

namespace cogwheel {

// What an operator may do, each as OperateService says: checks what is asked, changes the store
// first and what the dispatcher goes by once that is durable. The methods wait for the store: they
// are for threads that may. Thread-safe.
class Operator {
 public:
  struct Parts {
    OperateStore& store;
    const JobStore& jobs;
    ResultStore& results;
    EventLog& events;
    StandingOrders& orders;
    const GroupBoard& board;
    Dispatcher& dispatcher;
    EventLoop& loop;
    const Clock& clock;
    std::string backup_folder;  // empty: none are made
    bool open = false;          // callers prove nothing: what cannot be undone is refused
  };
  explicit Operator(Parts parts) : parts_(std::move(parts)) {}

  absl::StatusOr<v1::DrainGroupResponse> DrainGroup(const v1::DrainGroupRequest& request);
  absl::StatusOr<v1::ResumeGroupResponse> ResumeGroup(const v1::ResumeGroupRequest& request);
  absl::StatusOr<v1::PauseResponse> Pause(const v1::PauseRequest& request);
  absl::StatusOr<v1::UnpauseResponse> Unpause(const v1::UnpauseRequest& request);
  absl::StatusOr<v1::Job> RequeueJob(const v1::RequeueJobRequest& request);
  absl::StatusOr<v1::Job> FailJob(const v1::FailJobRequest& request);
  absl::StatusOr<v1::RetireModelResponse> RetireModel(const v1::RetireModelRequest& request);
  absl::StatusOr<v1::PurgeResponse> Purge(const v1::PurgeRequest& request);
  absl::StatusOr<v1::BackupResponse> Backup(const v1::BackupRequest& request);
  absl::StatusOr<v1::GetUsageResponse> GetUsage(const v1::GetUsageRequest& request);
  absl::StatusOr<v1::SetLogLevelResponse> SetLogLevel(const v1::SetLogLevelRequest& request);

  // A purge that is under way stops soon, with UNAVAILABLE (DRAINING).
  void Drain() { draining_ = true; }

 private:
  absl::Status CheckOrders() const;

  const Parts parts_;
  std::atomic<bool> draining_{false};
};

}  // namespace cogwheel
