#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "server/dispatch/worker_group.h"
#include "server/groups/epoch_request.h"
#include "server/groups/group_board.h"
#include "server/groups/group_phase.h"
#include "server/groups/peer_token.h"
#include "server/groups/rank_member.h"
#include "server/groups/stall_watch.h"
#include "server/job/job_store.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/cost_model.h"

namespace cogwheel {

// A group of ranks that dialled in: gathers them, gives world ranks and an epoch, broadcasts jobs,
// collects answers and ends, and notices the dead. Owned by the dispatcher's thread; sees no gRPC.
//
// Its phases and what follows what are the table of group_phase.h. A rank that is lost, falls
// silent or reports that its collectives cannot go on, while the group has an epoch, ends that: the
// others are told to leave and come back. So does a rank that was asked to leave, once the running
// job has ended or was handed back.
class RankGroup final : public WorkerGroup {
 public:
  struct Limits {
    std::chrono::seconds suspect{5};  // without a word from a rank
    std::chrono::seconds dead{15};
    std::chrono::seconds forming{60};  // from Assign or the last weight read to all formed
    std::chrono::seconds answer{60};   // from RunJob until all have answered
    // From the first JobDone until the last; anew with output, and while a rank is at the job.
    std::chrono::seconds ending{60};
  };
  struct Parts {
    JobStore& store;
    const Clock& clock;
    WorkerGroupObserver& observer;
    GroupBoard& board;
    CostModel& costs;
    ServerMetrics& metrics;
    PostTask post;
    Limits limits = {};
    std::function<absl::StatusOr<std::string>()> make_token = MakePeerToken;
  };
  RankGroup(std::string name, const Parts& parts, const StallWatch& stalls);

  // From a rank. Join refuses a rank that differs from those already here, by what differs, and one
  // whose place another process has that is alive.
  absl::Status Join(RankId id, std::shared_ptr<RankLink> link, const internal::v1::Hello& hello);
  // `owner` keeps the message for those who hold on to bytes of it.
  void OnMessage(RankId id, const internal::v1::RankMessage& message,
                 const std::shared_ptr<const void>& owner = nullptr);
  void OnGone(RankId id, const absl::Status& why);
  void Tick();
  // The dispatcher's thread was away for so long: no rank was silent meanwhile, and none late.
  void AfterStall(std::chrono::nanoseconds away);
  // Since when nobody is in it.
  std::optional<std::chrono::steady_clock::time_point> empty_since() const;
  // Takes away what is shown of it. Nothing else is called afterwards.
  void Forget();

  const std::string& name() const override { return name_; }
  std::string model() const override;
  int64_t epoch() const override { return epoch_; }
  std::string model_digest() const override;
  Capabilities capabilities() const override;
  std::string setup() const override;
  int ranks() const override { return static_cast<int>(members_.size()); }
  void Run(const AttemptOrder& order) override;
  void Cancel() override;

 private:
  using Time = std::chrono::steady_clock::time_point;
  using Phase = GroupPhase;
  using Member = RankMember;

  v1::Group Describe() const;  // for ListGroups
  // "rank 2 of group g": what a job's owner may read. Once it has an epoch.
  std::string NumberOf(const Member& member) const;
  absl::Status Replace(const Member& old, const internal::v1::Hello& hello);
  void AskForEpoch();
  void Form(int64_t epoch);
  void EnterIdle();
  void Enter(Phase phase, std::chrono::seconds limit);
  void OnHeartbeat(Member& member, const internal::v1::Heartbeat& beat);
  void OnFormed(Member& member, uint32_t weights_crc32c);
  absl::Status CheckSameWeights() const;
  void OnAnswer(Member& member, const internal::v1::JobAnswer& answer);
  void OnDone(Member& member, const internal::v1::JobDone& done);
  void OnLeaving(Member& member, bool now);
  void OnFault(Member& member, const internal::v1::RankFault& fault);
  void OnNotUnderstood(Member& member, const internal::v1::NotUnderstood& answer);
  void OnStrange(Member& member, const internal::v1::RankMessage& message, const std::string& what);
  void StartOrDrop();
  void OnOutput(Member& member, const internal::v1::RankMessage& message,
                const std::shared_ptr<const void>& owner);
  bool AllReported() const;
  void OnBroken(const Member& member);
  const Member* FindLeaving() const;
  bool JobMayBeTheCause() const;
  // `who`: for the log, by host and device.
  void EndEpoch(GroupLoss loss, const std::string& who);
  void CountAbort(const char* reason);
  void CountJobError(const std::string& reason);
  void OnKilledForMemory(const internal::v1::Hello& hello);
  void EndEpochForLeaving(const Member& member);
  void StopNumbering();
  void RemoveWaiting(RankId id, const absl::Status& why);
  void Broadcast(const internal::v1::FrontendMessage& message);
  Member* Find(RankId id);
  void OnHeld(Member& member);
  bool CheckSilence(Member& member);
  bool CheckAllSilences();
  void Publish();

  const std::string name_;
  const Parts parts_;
  const StallWatch& stalls_;
  EpochRequest epoch_request_;
  Phase phase_ = Phase::kGathering;
  Time phase_end_ = Time::max();
  std::vector<Member> members_;  // by world rank once they have an epoch
  Time empty_since_;             // while there are none
  int protocol_ = 0;             // that the members are spoken to in; all speak the same
  int64_t epoch_ = 0;
  int64_t job_sequence_ = 0;
  std::string job_;
  std::string lost_job_;         // that ran in the epoch before, while the ranks of it come back
  bool cancel_asked_ = false;    // before the ranks had agreed
  bool asked_to_leave_ = false;  // those who were here last
};

}  // namespace cogwheel
