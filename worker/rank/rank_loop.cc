#include "worker/rank/rank_loop.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>
#include <variant>

#include <absl/strings/strip.h>

#include "base/crc32c.h"
#include "base/failpoint.h"
#include "base/log.h"
#include "proto/contract/protocol.h"
#include "worker/rank/exit_code.h"
#include "worker/rank/guard.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kPollInterval{100};

// Ranks other than world rank 0 hand nothing out.
class NoSink final : public FrameSink {
 public:
  void OnProgress(Stage, int, int) override {}
  void OnPreview(std::span<const uint8_t>, int, int, int, int) override {}
  void OnFrames(std::span<const uint8_t>, int, int, int) override {}
  void OnLatents(std::span<const float>, int, int, int, int) override {}
};

int ExitCodeOf(const absl::Status& status) {
  if (status.code() == absl::StatusCode::kUnavailable) return kExitGroupLost;
  if (status.code() == absl::StatusCode::kInvalidArgument) return kExitRefused;
  return kExitInternal;
}

// One number of all that was read, which the frontend compares; 0 for random weights.
uint32_t WeightsChecksum(const std::vector<ComponentLoad>& loads) {
  std::vector<uint32_t> sums;
  for (const ComponentLoad& load : loads) {
    if (load.crc32c != 0) sums.push_back(load.crc32c);
  }
  return Crc32c(std::as_bytes(std::span(sums)));
}

}  // namespace

int RankLoop::Run() {
  const int code = Serve();
  life_.Enter(RankState::kLeaving);
  return code;
}

int RankLoop::Serve() {
  while (true) {
    absl::StatusOr<Order> order = mailbox_.Pop(kPollInterval);
    if (order.ok()) {
      const Verdict verdict = Handle(*std::move(order));
      if (verdict.has_value()) return *verdict;
    } else if (absl::IsCancelled(order.status())) {
      return kExitLeft;
    }
    if (life_.state() != RankState::kPlanned && parts_.drain_requested()) {
      Log(LogLevel::kInfo, "leaving: asked to drain", {}, Audience::kOnce);
      return kExitLeft;
    }
  }
}

RankLoop::Verdict RankLoop::Handle(Order order) {
  if (auto* assign = std::get_if<AssignOrder>(&order)) return Join(*assign);
  if (auto* run = std::get_if<RunOrder>(&order)) return Answer(std::move(*run));
  if (auto* start = std::get_if<StartOrder>(&order)) return Start(*start);
  if (auto* drop = std::get_if<DropOrder>(&order)) return Drop(*drop);
  if (auto* lost = std::get_if<LinkLost>(&order)) return Lost(*lost);
  const auto& shutdown = std::get<ShutdownOrder>(order);
  Log(LogLevel::kInfo, "leaving: the epoch is over", {{"reason", shutdown.reason}},
      Audience::kOnce);
  return parts_.drain_requested() ? kExitLeft : kExitGroupLost;
}

RankLoop::Verdict RankLoop::Lost(const LinkLost& lost) {
  // Whether it is gone every rank hears; what else it says may be of this rank alone.
  const bool gone = lost.why == LinkLost::Why::kFrontendGone;
  Log(LogLevel::kError, "the stream to the frontend ended", {{"reason", lost.reason}},
      gone ? Audience::kOnce : Audience::kEverybody);
  if (parts_.drain_requested()) return kExitLeft;
  switch (lost.why) {
    case LinkLost::Why::kRefused:
      return kExitRefused;
    case LinkLost::Why::kSentAway:
      return kExitGroupLost;
    case LinkLost::Why::kFrontendGone:
      break;
  }
  return kExitFrontendLost;
}

int RankLoop::Abort(const std::string& why) {
  place_->world.communicator->Abort(why);
  return kExitGroupLost;
}

RankLoop::Verdict RankLoop::Join(const AssignOrder& order) {
  if (order.epoch <= (place_.has_value() ? place_->epoch : 0)) return std::nullopt;
  if (place_.has_value()) {
    // A process belongs to one epoch; a fresh one joins the next.
    Log(LogLevel::kError, "leaving: the frontend formed a later epoch",
        {{"epoch", std::to_string(order.epoch)}});
    return kExitGroupLost;
  }
  life_.Enter(RankState::kJoining);
  Failpoint("rank.join");
  const absl::Status status = Load(order);
  if (!status.ok()) {
    Log(LogLevel::kError, "cannot join the group", {{"error", std::string(status.message())}});
    return ExitCodeOf(status);
  }
  life_.Enter(RankState::kIdle);
  watchdog_.Guard(
      [world = place_->world.communicator](const std::string& why) { world->Abort(why); });
  Log(LogLevel::kInfo, "joined the group", {{"epoch", std::to_string(order.epoch)}},
      Audience::kMachines);
  link_.SendFormed(order.epoch, WeightsChecksum(place_->pipeline->loads()));
  link_.ShowJob(0, place_->pipeline.get());
  return std::nullopt;
}

// The ranks meet first: each may then load as long as it takes, and rank 0 loads far more.
absl::Status RankLoop::Load(const AssignOrder& order) {
  JournaledWorld world;
  const absl::Status status = Guard([&] {
    world = parts_.connect(order);
    std::unique_ptr<Pipeline> pipeline = parts_.load(order.world_rank);
    place_ =
        Place{.epoch = order.epoch, .pipeline = std::move(pipeline), .world = std::move(world)};
  });
  if (status.ok()) {
    parts_.joined(order);
  } else if (world.communicator != nullptr) {
    world.communicator->Abort(std::string(status.message()));
  }
  return status;
}

absl::Status RankLoop::Prepare(RunOrder& order, JobFootprint& planned) {
  if (!order.problem.ok()) return order.problem;
  if (!order.image_bytes.empty()) {
    absl::Status decoded;  // there may be no memory for its pixels
    const absl::Status guarded = Guard([&] { decoded = link_.DecodeImage(order); });
    if (!guarded.ok()) return guarded;
    if (!decoded.ok()) return decoded;
  }
  return Guard([&] {
    planned = place_->pipeline->Plan(order.spec);
    order.warnings = place_->pipeline->Warnings(order.spec);
    order.decode_in_steps = place_->pipeline->DecodeInSteps(order.spec);
  });
}

RankLoop::Verdict RankLoop::Answer(RunOrder order) {
  const int64_t sequence = order.spec.job_sequence;
  if (!place_.has_value() || order.spec.epoch < place_->epoch) return std::nullopt;
  const int64_t expected = place_->next_sequence;
  if (order.spec.epoch > place_->epoch || (expected != 0 && sequence != expected)) {
    Log(LogLevel::kError, "the frontend skipped a job",
        {{"job", order.spec.job},
         {"got", std::to_string(order.spec.epoch) + "/" + std::to_string(sequence)},
         {"expected", std::to_string(place_->epoch) + "/" + std::to_string(expected)}});
    return Abort("the frontend skipped a job");
  }
  place_->next_sequence = sequence + 1;
  Failpoint("rank.broadcast");
  JobFootprint planned;
  const absl::Status status = Prepare(order, planned);
  if (status.ok()) {
    Log(LogLevel::kInfo, "job planned",
        {{"job", order.spec.job},
         {"planned_bytes", std::to_string(planned.peak())},
         {"text", std::to_string(planned.text)},
         {"picture", std::to_string(planned.picture)},
         {"denoise", std::to_string(planned.denoise)},
         {"decode", std::to_string(planned.decode)},
         {"exchange", std::to_string(planned.exchange)}},
        Audience::kMachines);
  } else {
    Log(LogLevel::kWarning, "cannot run the job",
        {{"job", order.spec.job}, {"error", std::string(status.message())}});
  }
  link_.SendAnswer(order, status, planned.peak());
  if (!status.ok()) return std::nullopt;
  life_.Enter(RankState::kPlanned);
  place_->planned = std::move(order.spec);
  return std::nullopt;
}

RankLoop::Verdict RankLoop::Drop(const DropOrder& order) {
  const bool is_planned =
      life_.state() == RankState::kPlanned && place_->planned.job_sequence == order.job_sequence;
  if (is_planned) {
    place_->planned = {};  // its picture
    life_.Enter(RankState::kIdle);
  }
  // Of a job whose offer this rank did not understand it hears here first.
  if (place_.has_value() && order.epoch == place_->epoch) {
    place_->next_sequence = std::max(place_->next_sequence, order.job_sequence + 1);
  }
  return std::nullopt;
}

RankLoop::Verdict RankLoop::Start(const StartOrder& order) {
  if (!place_.has_value() || order.epoch < place_->epoch) return std::nullopt;
  if (life_.state() != RankState::kPlanned || place_->planned.job_sequence != order.job_sequence) {
    return Abort("asked to start a job that was not planned");
  }
  const JobSpec spec = std::move(place_->planned);
  life_.Enter(RankState::kRunning);
  link_.ShowJob(spec.job_sequence, place_->pipeline.get());
  const Verdict verdict = Execute(spec);
  link_.ShowJob(0, place_->pipeline.get());
  if (!verdict.has_value()) life_.Enter(RankState::kIdle);
  return verdict;
}

StepCommand RankLoop::NextCommand(const JobSpec& spec, const JobOutput* output) const {
  if (link_.StopRequested(spec.job_sequence)) return StepCommand::kStop;
  const bool failed = output != nullptr && !output->status().ok();
  return failed || link_.CancelRequested(spec.job_sequence) ? StepCommand::kCancel
                                                            : StepCommand::kRun;
}

absl::Status RankLoop::RunProgram(const JobSpec& spec, JobOutput* output,
                                  PipelineSeconds& seconds) {
  NoSink nothing;
  FrameSink& sink = output != nullptr ? static_cast<FrameSink&>(*output) : nothing;
  const JournaledWorld& world = place_->world;
  watchdog_.BeginJob(spec);
  const absl::Status ran = Guard([&] {
    world.communicator->EnterWork(spec.job_sequence);
    seconds = place_->pipeline->Run(spec, *world.communicator, *world.journal, sink,
                                    [&] { return NextCommand(spec, output); });
  });
  watchdog_.EndJob(/*finished=*/ran.ok());
  return ran;
}

absl::Status RankLoop::LeaveTogether(const absl::Status& ran) {
  if (LeftTogether(ran) || ReasonOf(ran) != kOutOfMemoryReason) return ran;
  Communicator& world = *place_->world.communicator;
  const JobPlace place = place_->pipeline->place();
  absl::Status left = ToStatus(
      {.kind = FailureKind::kOutOfMemory,
       .message = "out of memory: " + place.words + " on rank " + std::to_string(world.rank()) +
                  ": " + std::string(absl::StripPrefix(ran.message(), "out of memory: "))});
  if (!place.hosts_only) return left;
  // Without memory to tell the others the group ends.
  if (Guard([&] { world.Abandon(std::string(left.message())); }).ok()) MarkLeftTogether(left);
  return left;
}

RankLoop::Verdict RankLoop::Execute(const JobSpec& spec) {
  Log(LogLevel::kInfo, "job started", {{"job", spec.job}}, Audience::kOnce);
  Communicator& world = *place_->world.communicator;
  const std::unique_ptr<JobOutput> output = world.rank() == 0 ? link_.OpenOutput(spec) : nullptr;
  JobReport report{.epoch = spec.epoch, .job_sequence = spec.job_sequence};
  SetLogField("job", spec.job);
  const absl::Status ran = LeaveTogether(RunProgram(spec, output.get(), report.seconds));
  Failpoint("rank.stream");
  report.status = ran;
  if (output != nullptr && !output->status().ok()) report.status = output->status();
  if (output != nullptr && report.status.ok()) {
    absl::StatusOr<OutputSummary> summary = output->Finish();
    report.status = summary.status();
    if (summary.ok()) report.output = *std::move(summary);
  }
  Log(report.status.ok() ? LogLevel::kInfo : LogLevel::kWarning, "job ended",
      {{"status", report.status.ToString(absl::StatusToStringMode::kWithNoExtraData)}},
      report.status.ok() ? Audience::kOnce : Audience::kEverybody);
  SetLogField("job", "");
  const bool stopped = absl::IsAborted(ran);
  const bool group_lives = LeftTogether(ran);
  if (group_lives && !ReasonOf(ran).empty()) parts_.left_job(ReasonOf(ran));
  report.epoch_over = !group_lives;
  link_.SendDone(report);
  if (group_lives || stopped) return std::nullopt;
  // The cause is heard before what the abort makes of the others' jobs.
  if (ReasonOf(ran) == kOutOfMemoryReason) link_.Flush();
  world.Abort(std::string(ran.message()));
  link_.Flush();
  return absl::IsUnavailable(ran) ? kExitGroupLost : kExitInternal;
}

}  // namespace cogwheel
