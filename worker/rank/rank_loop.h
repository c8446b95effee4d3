#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "worker/journal/journaled_world.h"
#include "worker/pipeline/pipeline.h"
#include "worker/rank/frontend_link.h"
#include "worker/rank/rank_state.h"
#include "worker/rank/watchdog.h"

namespace cogwheel {

// The parts of a rank that a test replaces.
struct RankParts {
  // Meets the other ranks of the group; throws CommError.
  std::function<JournaledWorld(const AssignOrder&)> connect;
  // Loads the model for a place in the group; throws like Pipeline::Create.
  std::function<std::unique_ptr<Pipeline>(int world_rank)> load;
  // Both are done.
  std::function<void(const AssignOrder&)> joined = [](const AssignOrder&) {};
  // The ranks have left a job together, for that reason of JobDone.
  std::function<void(const std::string& reason)> left_job = [](const std::string&) {};
  // True once this process was asked to leave (SIGTERM): the running job ends first.
  std::function<bool()> drain_requested;
};

// The life of one rank: wait for a place, meet the others, load, then job after job. Runs on the
// thread that owns the device; alone issues collectives.
//
// What fails before a job's first collective fails that job alone, and so do two failures after it:
// values that are not finite, which all ranks agree on, and memory that a rank has not got, which
// it tells the others wherever they are. Any other takes the group with it: the failure is
// reported, the world aborted, and Run returns the code to exit with. A job that was stopped to be
// handed back leaves the world whole; what ends the epoch follows.
class RankLoop {
 public:
  RankLoop(RankParts parts, JobMailbox& mailbox, FrontendLink& link, Watchdog& watchdog)
      : parts_(std::move(parts)), mailbox_(mailbox), link_(link), watchdog_(watchdog) {}
  // Heartbeats, which go on, look at the model no more.
  ~RankLoop() { link_.ShowJob(0, nullptr); }
  RankLoop(const RankLoop&) = delete;
  RankLoop& operator=(const RankLoop&) = delete;

  // Returns an exit code of exit_code.h.
  int Run();

 private:
  // Nothing: go on. A value: leave with it.
  using Verdict = std::optional<int>;

  // A rank in its group: what it has from kIdle on.
  struct Place {
    int64_t epoch = 0;
    std::unique_ptr<Pipeline> pipeline;
    JournaledWorld world;       // the watchdog shares the communicator and may abort it
    int64_t next_sequence = 0;  // 0: any
    JobSpec planned;            // in kPlanned: answered, not yet started
  };

  int Serve();
  Verdict Handle(Order order);
  Verdict Join(const AssignOrder& order);
  Verdict Answer(RunOrder order);
  Verdict Start(const StartOrder& order);
  Verdict Drop(const DropOrder& order);
  Verdict Lost(const LinkLost& lost);
  absl::Status Load(const AssignOrder& order);
  absl::Status Prepare(RunOrder& order, JobFootprint& planned);
  Verdict Execute(const JobSpec& spec);
  // Runs the job's program; its output may still be under way.
  absl::Status RunProgram(const JobSpec& spec, JobOutput* output, PipelineSeconds& seconds);
  // A rank that has run out of memory: `ran` says where, and the others leave the job too if they
  // can.
  absl::Status LeaveTogether(const absl::Status& ran);
  StepCommand NextCommand(const JobSpec& spec, const JobOutput* output) const;
  // Among ranks that do not agree on what is ordered: nobody can go on.
  int Abort(const std::string& why);

  const RankParts parts_;
  JobMailbox& mailbox_;
  FrontendLink& link_;
  Watchdog& watchdog_;
  RankLife life_;
  std::optional<Place> place_;  // nothing in kWaiting and kJoining
};

}  // namespace cogwheel
