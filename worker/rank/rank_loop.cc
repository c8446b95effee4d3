#include "worker/rank/rank_loop.h"

#include <algorithm>
#include <chrono>
#include <span>
#include <utility>
#include <variant>

#include "base/failpoint.h"
#include "base/log.h"
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

}  // namespace

int RankLoop::Run() {
  while (true) {
    absl::StatusOr<Order> order = mailbox_.Pop(kPollInterval);
    if (order.ok()) {
      const Verdict verdict = Handle(*std::move(order));
      if (verdict.has_value()) return *verdict;
    } else if (absl::IsCancelled(order.status())) {
      return kExitLeft;
    }
    if (!waiting_.has_value() && parts_.drain_requested()) {
      Log(LogLevel::kInfo, "leaving: asked to drain");
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
  Log(LogLevel::kInfo, "leaving: the epoch is over", {{"reason", shutdown.reason}});
  return parts_.drain_requested() ? kExitLeft : kExitGroupLost;
}

RankLoop::Verdict RankLoop::Lost(const LinkLost& lost) {
  Log(LogLevel::kError, "the stream to the frontend ended", {{"reason", lost.reason}});
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

RankLoop::Verdict RankLoop::Join(const AssignOrder& order) {
  if (order.epoch <= epoch_) return std::nullopt;
  if (world_.communicator != nullptr) {
    // A process belongs to one epoch; a fresh one joins the next.
    Log(LogLevel::kError, "leaving: the frontend formed a later epoch",
        {{"epoch", std::to_string(order.epoch)}});
    return kExitGroupLost;
  }
  epoch_ = order.epoch;
  Failpoint("rank.join");
  const absl::Status status = Guard([&] {
    pipeline_ = parts_.load(order.world_rank);
    world_ = parts_.connect(order);
  });
  if (!status.ok()) {
    Log(LogLevel::kError, "cannot join the group", {{"error", std::string(status.message())}});
    return ExitCodeOf(status);
  }
  watchdog_.Guard(world_.communicator);
  Log(LogLevel::kInfo, "joined the group", {{"epoch", std::to_string(epoch_)}});
  link_.SendFormed(epoch_);
  link_.ShowJob(0, pipeline_.get());
  return std::nullopt;
}

absl::Status RankLoop::Prepare(RunOrder& order, int64_t& planned_bytes) {
  if (!order.problem.ok()) return order.problem;
  if (!order.image_bytes.empty()) {
    const absl::Status decoded = link_.DecodeImage(order);
    if (!decoded.ok()) return decoded;
  }
  return Guard([&] { planned_bytes = pipeline_->Plan(order.spec); });
}

RankLoop::Verdict RankLoop::Answer(RunOrder order) {
  const int64_t sequence = order.spec.job_sequence;
  if (world_.communicator == nullptr || order.spec.epoch < epoch_) return std::nullopt;
  if (order.spec.epoch > epoch_ || (next_sequence_ != 0 && sequence != next_sequence_)) {
    Log(LogLevel::kError, "the frontend skipped a job",
        {{"job", order.spec.job},
         {"got", std::to_string(order.spec.epoch) + "/" + std::to_string(sequence)},
         {"expected", std::to_string(epoch_) + "/" + std::to_string(next_sequence_)}});
    world_.communicator->Abort("the frontend skipped a job");
    return kExitGroupLost;
  }
  next_sequence_ = sequence + 1;
  Failpoint("rank.broadcast");
  int64_t planned_bytes = 0;
  const absl::Status status = Prepare(order, planned_bytes);
  if (status.ok()) {
    Log(LogLevel::kInfo, "job planned",
        {{"job", order.spec.job}, {"planned_bytes", std::to_string(planned_bytes)}});
  } else {
    Log(LogLevel::kWarning, "cannot run the job",
        {{"job", order.spec.job}, {"error", std::string(status.message())}});
  }
  link_.SendAnswer(order, status, planned_bytes);
  if (status.ok()) waiting_ = std::move(order.spec);
  return std::nullopt;
}

RankLoop::Verdict RankLoop::Drop(const DropOrder& order) {
  if (waiting_.has_value() && waiting_->job_sequence == order.job_sequence) waiting_.reset();
  // Of a job whose offer this rank did not understand it hears here first.
  if (order.epoch == epoch_) next_sequence_ = std::max(next_sequence_, order.job_sequence + 1);
  return std::nullopt;
}

RankLoop::Verdict RankLoop::Start(const StartOrder& order) {
  if (order.epoch < epoch_ || world_.communicator == nullptr) return std::nullopt;
  if (!waiting_.has_value() || waiting_->job_sequence != order.job_sequence) {
    world_.communicator->Abort("asked to start a job that was not planned");
    return kExitGroupLost;
  }
  const JobSpec spec = *std::move(waiting_);
  waiting_.reset();
  link_.ShowJob(spec.job_sequence, pipeline_.get());
  const Verdict verdict = Execute(spec);
  link_.ShowJob(0, pipeline_.get());
  return verdict;
}

StepCommand RankLoop::NextCommand(const JobSpec& spec, const JobOutput* output) const {
  if (link_.StopRequested(spec.job_sequence)) return StepCommand::kStop;
  const bool failed = output != nullptr && !output->status().ok();
  return failed || link_.CancelRequested(spec.job_sequence) ? StepCommand::kCancel
                                                            : StepCommand::kRun;
}

RankLoop::Verdict RankLoop::Execute(const JobSpec& spec) {
  Log(LogLevel::kInfo, "job started", {{"job", spec.job}});
  NoSink nothing;
  const std::unique_ptr<JobOutput> output =
      world_.communicator->rank() == 0 ? link_.OpenOutput(spec) : nullptr;
  FrameSink& sink = output != nullptr ? static_cast<FrameSink&>(*output) : nothing;
  JobReport report{.epoch = spec.epoch, .job_sequence = spec.job_sequence};
  SetLogField("job", spec.job);
  watchdog_.BeginJob(spec);
  const absl::Status ran = Guard([&] {
    report.seconds = pipeline_->Run(spec, *world_.communicator, *world_.journal, sink,
                                    [&] { return NextCommand(spec, output.get()); });
  });
  watchdog_.EndJob(/*finished=*/ran.ok());
  Failpoint("rank.stream");
  report.status = ran;
  if (output != nullptr && !output->status().ok()) report.status = output->status();
  if (output != nullptr && report.status.ok()) {
    absl::StatusOr<OutputSummary> summary = output->Finish();
    report.status = summary.status();
    if (summary.ok()) report.output = *std::move(summary);
  }
  Log(report.status.ok() ? LogLevel::kInfo : LogLevel::kWarning, "job ended",
      {{"status", report.status.ToString()}});
  SetLogField("job", "");
  const bool stopped = absl::IsAborted(ran);
  const bool group_lives = ran.ok() || absl::IsCancelled(ran);
  report.epoch_over = !group_lives;
  if (!group_lives && !stopped) world_.communicator->Abort(std::string(ran.message()));
  link_.SendDone(report);
  if (group_lives || stopped) return std::nullopt;
  link_.Flush();
  return absl::IsUnavailable(ran) ? kExitGroupLost : kExitInternal;
}

}  // namespace cogwheel
