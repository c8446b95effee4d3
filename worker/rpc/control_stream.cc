#include "worker/rpc/control_stream.h"

#include "base/log.h"
#include "proto/contract/status.h"
#include "worker/media/image_decoder.h"
#include "worker/rank/failure_status.h"
#include "worker/rank/link_rules.h"
#include "worker/rpc/dial.h"
#include "worker/rpc/result_stream.h"

namespace cogwheel {
namespace {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;

constexpr std::chrono::seconds kHeartbeatInterval{1};
constexpr std::chrono::seconds kFlushLimit{5};
constexpr std::chrono::seconds kCloseLimit{4};

// Of the rank's own failures, or what the frontend itself would say.
std::string ReasonOfStatus(const absl::Status& status) {
  const std::string reason = ReasonOf(status);
  return reason.empty() ? ErrorReason(status) : reason;
}

OrderHead HeadOf(const FrontendMessage& message) {
  using Kind = OrderHead::Kind;
  switch (message.message_case()) {
    case FrontendMessage::kAssign:
      return {.kind = Kind::kAssign, .epoch = message.assign().epoch()};
    case FrontendMessage::kRunJob:
      return {.kind = Kind::kRun, .epoch = message.run_job().epoch()};
    case FrontendMessage::kStartJob:
      return {.kind = Kind::kStart, .epoch = message.start_job().epoch()};
    case FrontendMessage::kDropJob:
      return {.kind = Kind::kDrop, .epoch = message.drop_job().epoch()};
    case FrontendMessage::kCancelJob:
      return {.kind = Kind::kCancel, .epoch = message.cancel_job().epoch()};
    case FrontendMessage::kStopJob:
      return {.kind = Kind::kStop, .epoch = message.stop_job().epoch()};
    case FrontendMessage::kShutdown:
      return {.kind = Kind::kShutdown, .epoch = message.shutdown().epoch()};
    case FrontendMessage::kBeat:
      return {.kind = Kind::kBeat};
    case FrontendMessage::MESSAGE_NOT_SET:
      break;
  }
  return {};
}

}  // namespace

absl::StatusOr<std::unique_ptr<ControlStream>> ControlStream::Connect(const Options& options,
                                                                      JobMailbox& mailbox) {
  const absl::StatusOr<FrontendAccess> access = OpenFrontendAccess(options.keys);
  if (!access.ok()) return access.status();
  absl::StatusOr<std::shared_ptr<grpc::Channel>> channel = DialFrontend(
      {options.frontend, options.dial_limit, options.stop_requested, options.on_waiting}, *access);
  if (!channel.ok()) return channel.status();
  options.on_connected();
  return std::unique_ptr<ControlStream>(
      new ControlStream(*std::move(channel), access->token, options, mailbox));
}

ControlStream::ControlStream(std::shared_ptr<grpc::Channel> channel, const std::string& token,
                             const Options& options, JobMailbox& mailbox)
    : options_(options),
      mailbox_(mailbox),
      channel_(std::move(channel)),
      stub_(internal::v1::RankControl::NewStub(channel_)),
      last_word_(std::chrono::steady_clock::now()),
      stream_(std::make_unique<MessageStream>(
          *stub_, token,
          MessageStream::Handlers{
              .on_message = [this](FrontendMessage m) { OnMessage(std::move(m)); },
              .on_end = [this](const grpc::Status& status) { OnEnd(status); }})) {
  stream_->Begin();
  RankMessage message;
  *message.mutable_hello() = ToHello(options.identity);
  stream_->Send(std::move(message), options_.send_limit).IgnoreError();
  heartbeats_ = std::thread([this] { SendHeartbeats(); });
}

ControlStream::~ControlStream() {
  {
    const MutexLock lock(mutex_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  heartbeats_.join();
  // A stream that will not end keeps its memory: the process is about to leave.
  if (!stream_->Close(kCloseLimit)) stream_.release();
}

void ControlStream::OnMessage(FrontendMessage message) {
  last_word_ = std::chrono::steady_clock::now();
  const OrderHead head = HeadOf(message);
  switch (OnArrival(head, epoch_)) {
    case Arrival::kIgnored:
      return;
    case Arrival::kCancelsJob:
      cancelled_sequence_ = message.cancel_job().job_sequence();
      return;
    case Arrival::kStopsJob:
      stopped_sequence_ = message.stop_job().job_sequence();
      return;
    case Arrival::kNewEpoch:
      epoch_ = head.epoch;
      break;
    case Arrival::kEpochOver:
      options_.on_epoch_over(message.shutdown().reason());
      break;
    case Arrival::kQueued:
      break;
  }
  if (message.message_case() == FrontendMessage::MESSAGE_NOT_SET) return NotUnderstood(message);
  absl::StatusOr<Order> order = ToOrder(std::move(message));
  const absl::Status pushed = order.ok() ? mailbox_.Push(*std::move(order)) : order.status();
  if (!pushed.ok()) {
    Log(LogLevel::kError, "dropped an order", {{"error", std::string(pushed.message())}});
  }
}

// At once, from gRPC's thread: a frontend that is newer than this rank must not wait for it.
void ControlStream::NotUnderstood(const FrontendMessage& message) {
  RankMessage answer;
  *answer.mutable_not_understood() = ToNotUnderstood(message);
  const int field = answer.not_understood().field();
  const absl::Status sent = stream_->Send(std::move(answer), std::chrono::seconds(0));
  Log(LogLevel::kError, "the frontend's message is of unknown kind",
      {{"field", std::to_string(field)}, {"answered", sent.ok() ? "yes" : "no"}});
}

void ControlStream::OnEnd(const grpc::Status& status) {
  const absl::Status why = FromGrpc(status);
  OnFrontendGone(status.ok() ? "the frontend closed it" : InWords(why),
                 WhyLost(why.code(), ErrorReason(why)));
}

void ControlStream::OnFrontendGone(const std::string& why, LinkLost::Why kind) {
  if (lost_.exchange(true)) return;
  options_.on_frontend_gone(why);
  mailbox_.Push(LinkLost{.reason = why, .why = kind}).IgnoreError();
}

// The frontend answers each heartbeat.
void ControlStream::CheckSilence() {
  const auto silence = std::chrono::steady_clock::now() - last_word_.load();
  if (silence >= options_.gone) {
    OnFrontendGone("no word from the frontend for " + std::to_string(options_.gone.count()) + " ms",
                   LinkLost::Why::kFrontendGone);
  }
  const bool suspect = silence >= options_.suspect;
  if (suspect && !suspect_)
    Log(LogLevel::kWarning, "frontend suspect: no word from it", {}, Audience::kOnce);
  suspect_ = suspect;
}

bool ControlStream::WaitForNextBeat() {
  const MutexLock lock(mutex_);
  return !changed_.WaitFor(mutex_, kHeartbeatInterval,
                           [this]() COGWHEEL_REQUIRES(mutex_) { return stopping_; });
}

void ControlStream::SendHeartbeats() {
  while (WaitForNextBeat()) {
    CheckSilence();
    RankMessage message;
    internal::v1::Heartbeat& beat = *message.mutable_heartbeat();
    beat.set_collectives(options_.last_exchange());
    {
      const MutexLock lock(mutex_);
      beat.set_epoch(epoch_);
      beat.set_job_sequence(job_sequence_);
      beat.set_step(pipeline_ == nullptr ? options_.read_bytes() : pipeline_->work_counter());
    }
    // A full queue means that much is being written already: that is sign of life enough.
    stream_->Send(std::move(message), std::chrono::seconds(0)).IgnoreError();
  }
}

void ControlStream::SendFormed(int64_t epoch, uint32_t weights_crc32c) {
  RankMessage message;
  message.mutable_formed()->set_epoch(epoch);
  message.mutable_formed()->set_weights_crc32c(weights_crc32c);
  stream_->Send(std::move(message), options_.send_limit).IgnoreError();
}

void ControlStream::SendAnswer(const RunOrder& order, const absl::Status& status,
                               int64_t planned_bytes) {
  RankMessage message;
  internal::v1::JobAnswer& answer = *message.mutable_job_answer();
  answer.set_epoch(order.spec.epoch);
  answer.set_job_sequence(order.spec.job_sequence);
  answer.set_code(static_cast<int>(status.code()));
  answer.set_reason(ReasonOfStatus(status));
  answer.set_message(std::string(status.message()));
  answer.set_planned_bytes(planned_bytes);
  for (const std::string& warning : order.warnings) answer.add_warnings(warning);
  answer.set_decode_in_steps(order.decode_in_steps);
  stream_->Send(std::move(message), options_.send_limit).IgnoreError();
}

void ControlStream::SendDone(const JobReport& report) {
  RankMessage message;
  internal::v1::JobDone& done = *message.mutable_job_done();
  done.set_epoch(report.epoch);
  done.set_job_sequence(report.job_sequence);
  done.set_code(static_cast<int>(report.status.code()));
  done.set_reason(ReasonOfStatus(report.status));
  done.set_message(std::string(report.status.message()));
  done.set_size_bytes(report.output.size_bytes);
  done.set_sha256(report.output.sha256);
  done.set_media_type(report.output.media_type);
  done.set_text_encode_seconds(report.seconds.text_encode);
  done.set_denoise_seconds(report.seconds.denoise);
  done.set_decode_seconds(report.seconds.decode);
  done.set_encode_seconds(report.output.encode_seconds);
  done.set_epoch_over(report.epoch_over);
  stream_->Send(std::move(message), options_.send_limit).IgnoreError();
}

absl::Status ControlStream::DecodeImage(RunOrder& order) {
  absl::StatusOr<DecodedImage> image = ::cogwheel::DecodeImage(order.image_bytes);
  if (!image.ok()) return image.status();
  order.spec.image_rgb = std::move(image->rgb);
  order.spec.image_height = image->height;
  order.spec.image_width = image->width;
  return absl::OkStatus();
}

std::unique_ptr<JobOutput> ControlStream::OpenOutput(const JobSpec& spec) {
  return std::make_unique<ResultStream>(spec, *stream_, options_.send_limit);
}

bool ControlStream::CancelRequested(int64_t job_sequence) const {
  return cancelled_sequence_ == job_sequence;
}

bool ControlStream::StopRequested(int64_t job_sequence) const {
  return lost_ || stopped_sequence_ == job_sequence;
}

void ControlStream::SendLeaving(bool now) {
  RankMessage message;
  message.mutable_leaving()->set_epoch(epoch_);
  message.mutable_leaving()->set_now(now);
  stream_->Send(std::move(message), std::chrono::seconds(0)).IgnoreError();
}

void ControlStream::SendFault(const std::string& fault) {
  RankMessage message;
  message.mutable_rank_fault()->set_epoch(epoch_);
  message.mutable_rank_fault()->set_message(fault);
  stream_->Send(std::move(message), kFlushLimit).IgnoreError();
  stream_->Flush(kFlushLimit);
}

void ControlStream::ShowJob(int64_t job_sequence, const Pipeline* pipeline) {
  const MutexLock lock(mutex_);
  job_sequence_ = job_sequence;
  pipeline_ = pipeline;
}

void ControlStream::Flush() { stream_->Flush(kFlushLimit); }

}  // namespace cogwheel
