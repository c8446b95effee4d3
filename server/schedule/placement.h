#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "server/schedule/cost_model.h"
#include "server/schedule/queued_job.h"
#include "server/schedule/standing_orders.h"
#include "server/schedule/tenant_rules.h"

namespace cogwheel {

// A plan of one moment: jobs, taken in their order, each on the group that would finish it first.
// An idle group starts its job now; for one that is still busy a job waits, and a job behind it may
// take the idle one. A group that has not finished a job yet is taken to be as fast as its model's
// fastest, so that nothing waits for it on no grounds. Operators' orders hold: a drained group
// takes no job, and no job of a paused tenant or model is given out; nor is one that its tenant's
// rules hold back.
class Placement {
 public:
  Placement(const CostModel& costs, std::shared_ptr<const OperatorOrders> orders,
            const TenantRules& rules)
      : costs_(costs), orders_(std::move(orders)), rules_(rules) {}

  // What it must know of a group.
  struct Group {
    std::string name;
    std::string model;
    std::string model_digest;  // empty: not known
    Capabilities capabilities;
    std::string setup;  // under which its jobs' costs are learnt
  };
  void AddIdle(Group group) { Add(std::move(group), /*idle=*/true, /*free_in=*/0); }
  // A group whose job has run for `seconds`.
  void AddBusy(Group group, const QueuedJob& job, double seconds);

  struct Assignment {
    std::string group;    // its name
    bool now = false;     // the group is idle, and this is its first job
    double start_in = 0;  // seconds
  };
  // The group is taken up by the job from then on; nullopt when none has the job's checkpoint and
  // can do what it needs, the job is paused, or its tenant's rules hold it back.
  std::optional<Assignment> Take(const QueuedJob& job);
  // In words: the job is paused or held back, or groups have its model and none its checkpoint or
  // what it needs, or only drained ones do; else "".
  std::string Lacking(const QueuedJob& job) const;

  struct Slot {
    Group group;
    bool idle = false;
    double free_in = 0;  // seconds
    bool drained = false;
  };
  const std::vector<Slot>& slots() const { return slots_; }
  // Whose jobs were held back.
  const TenantRules::Held& held() const { return held_; }

 private:
  void Add(Group group, bool idle, double free_in);
  double Estimate(const Group& group, const QueuedJob& job) const;

  const CostModel& costs_;
  std::shared_ptr<const OperatorOrders> orders_;
  const TenantRules& rules_;
  std::vector<Slot> slots_;
  std::map<std::string, int64_t> running_;  // jobs by tenant, with those that start now
  TenantRules::Held held_;
};

}  // namespace cogwheel
