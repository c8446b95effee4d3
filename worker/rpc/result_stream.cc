#include "worker/rpc/result_stream.h"

#include <utility>

#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "worker/media/jpeg_encoder.h"
#include "worker/rpc/wire_orders.h"
#include "worker/weights/safetensors.h"

namespace cogwheel {
namespace {

using internal::v1::RankMessage;

constexpr char kTensorMediaType[] = "application/octet-stream";
// Of frames waiting for the encoder: a whole clip of the largest model fits.
constexpr size_t kMaxQueuedBytes = size_t{768} << 20;
constexpr std::chrono::seconds kIdleLimit{1};
// Longest wait for the encoder after the last frame.
constexpr std::chrono::minutes kFinishLimit{10};

std::string_view AsText(const void* data, size_t bytes) {
  return {static_cast<const char*>(data), bytes};
}

absl::Status NotTaken(const std::string& why) {
  return MakeError(absl::StatusCode::kResourceExhausted, "RESULT_NOT_TAKEN",
                   "the result is not taken as fast as it is made: " + why);
}

// Frames that the decoder makes of a clip: those asked for, but for lengths the service refuses.
int64_t OutputFrames(const JobSpec& spec) {
  const int64_t latent = (spec.frames - 1) / 4 + 1;
  return latent % 2 == 1 ? 4 * (latent - 1) + 1 : 4 * latent;
}

}  // namespace

ResultStream::ResultStream(const JobSpec& spec, MessageStream& stream,
                           std::chrono::milliseconds send_limit)
    : spec_(spec),
      stream_(stream),
      send_limit_(send_limit),
      writer_(
          kMaxChunkBytes,
          [this](int64_t offset, std::string data) { return SendChunk(offset, std::move(data)); }),
      thread_([this] { Work(); }) {}

ResultStream::~ResultStream() {
  given_up_ = true;
  {
    const MutexLock lock(mutex_);
    if (status_.ok() && !ended_) status_ = absl::CancelledError("the job has ended");
  }
  changed_.NotifyAll();
  thread_.join();
}

void ResultStream::OnProgress(Stage stage, int step, int steps) {
  RankMessage message;
  internal::v1::Progress& progress = *message.mutable_progress();
  progress.set_epoch(spec_.epoch);
  progress.set_job_sequence(spec_.job_sequence);
  SetStage(stage, progress);
  progress.set_step(step);
  progress.set_steps(steps);
  // A hint: left out when the stream is busy.
  stream_.Send(std::move(message), std::chrono::seconds(0)).IgnoreError();
}

void ResultStream::OnPreview(std::span<const uint8_t> rgb, int height, int width, int step,
                             int steps) {
  Push(PreviewItem{.rgb = {rgb.begin(), rgb.end()},
                   .height = height,
                   .width = width,
                   .step = step,
                   .steps = steps},
       rgb.size());
}

void ResultStream::OnFrames(std::span<const uint8_t> rgb, int frame_count, int height, int width) {
  Push(
      FramesItem{
          .rgb = {rgb.begin(), rgb.end()}, .count = frame_count, .height = height, .width = width},
      rgb.size());
}

void ResultStream::OnLatents(std::span<const float> values, int frames, int channels, int height,
                             int width) {
  Push(LatentsItem{.values = {values.begin(), values.end()},
                   .shape = {frames, channels, height, width}},
       values.size_bytes());
}

absl::Status ResultStream::status() const {
  const MutexLock lock(mutex_);
  return status_;
}

void ResultStream::Push(Item item, size_t bytes) {
  {
    const MutexLock lock(mutex_);
    if (!status_.ok()) return;
    if (queued_bytes_ + bytes > kMaxQueuedBytes) {
      status_ = NotTaken(std::to_string(queued_bytes_) + " bytes wait for the encoder");
    } else {
      queued_bytes_ += bytes;
      queue_.emplace_back(std::move(item), bytes);
    }
  }
  changed_.NotifyAll();
}

void ResultStream::Work() {
  bool last = false;
  while (!last) {
    Item item;
    {
      const MutexLock lock(mutex_);
      changed_.WaitFor(mutex_, kIdleLimit, [this]() COGWHEEL_REQUIRES(mutex_) {
        return !queue_.empty() || !status_.ok();
      });
      if (!status_.ok()) break;
      if (queue_.empty()) continue;
      item = std::move(queue_.front().first);
      queued_bytes_ -= queue_.front().second;
      queue_.pop_front();
    }
    last = std::holds_alternative<EndItem>(item);
    const auto begin = std::chrono::steady_clock::now();
    const absl::Status delivered = std::visit([this](const auto& x) { return Deliver(x); }, item);
    encode_seconds_ +=
        std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    const MutexLock lock(mutex_);
    if (!delivered.ok() && status_.ok()) status_ = delivered;
  }
  const MutexLock lock(mutex_);
  ended_ = true;
  changed_.NotifyAll();
}

absl::Status ResultStream::Deliver(const PreviewItem& item) {
  absl::StatusOr<std::string> jpeg = EncodeJpeg(item.rgb, item.height, item.width);
  if (!jpeg.ok()) return jpeg.status();
  RankMessage message;
  internal::v1::Preview& preview = *message.mutable_preview();
  preview.set_epoch(spec_.epoch);
  preview.set_job_sequence(spec_.job_sequence);
  preview.set_step(item.step);
  preview.set_steps(item.steps);
  preview.set_jpeg(*std::move(jpeg));
  return Send(std::move(message));
}

absl::Status ResultStream::Deliver(const FramesItem& item) {
  if (spec_.output == OutputKind::kVideo) return EncodeVideo(item);
  if (!header_written_) {
    const absl::Status written = WriteFramesHeader(item);
    if (!written.ok()) return written;
  }
  return writer_.Write(AsText(item.rgb.data(), item.rgb.size()));
}

absl::Status ResultStream::WriteFramesHeader(const FramesItem& item) {
  header_written_ = true;
  return writer_.Write(
      SafetensorsHeader({{.name = "frames",
                          .dtype = TensorDtype::kU8,
                          .shape = {OutputFrames(spec_), item.height, item.width, 3}}}));
}

absl::Status ResultStream::EncodeVideo(const FramesItem& item) {
  if (encoder_ == nullptr) {
    absl::StatusOr<std::unique_ptr<VideoEncoder>> encoder =
        VideoEncoder::Create({.width = item.width,
                              .height = item.height,
                              .fps = spec_.fps,
                              .frames = OutputFrames(spec_)},
                             [this](std::span<const uint8_t> bytes) {
                               return writer_.Write(AsText(bytes.data(), bytes.size()));
                             });
    if (!encoder.ok()) return encoder.status();
    encoder_ = *std::move(encoder);
  }
  const size_t frame_bytes = item.rgb.size() / item.count;
  for (int i = 0; i < item.count; ++i) {
    const absl::Status added =
        encoder_->AddFrame(std::span(item.rgb).subspan(i * frame_bytes, frame_bytes));
    if (!added.ok()) return added;
  }
  // A fragment that is complete should reach the viewer now, not when a chunk is full.
  return writer_.Flush();
}

absl::Status ResultStream::Deliver(const LatentsItem& item) {
  const absl::Status header = writer_.Write(
      SafetensorsHeader({{.name = "latents", .dtype = TensorDtype::kF32, .shape = item.shape}}));
  if (!header.ok()) return header;
  return writer_.Write(AsText(item.values.data(), item.values.size() * sizeof(float)));
}

absl::Status ResultStream::Deliver(const EndItem&) {
  const absl::Status finished = encoder_ != nullptr ? encoder_->Finish() : absl::OkStatus();
  return finished.ok() ? writer_.Flush() : finished;
}

absl::Status ResultStream::SendChunk(int64_t offset, std::string data) {
  RankMessage message;
  internal::v1::ResultChunk& chunk = *message.mutable_result_chunk();
  chunk.set_epoch(spec_.epoch);
  chunk.set_job_sequence(spec_.job_sequence);
  chunk.set_offset(offset);
  chunk.set_data(std::move(data));
  return Send(std::move(message));
}

absl::Status ResultStream::Send(RankMessage message) {
  absl::Status sent = stream_.Send(std::move(message), send_limit_, given_up_);
  // As an error of a job it would be the job's own deadline.
  return absl::IsDeadlineExceeded(sent) ? NotTaken(std::string(sent.message())) : sent;
}

absl::StatusOr<OutputSummary> ResultStream::Finish() {
  Push(EndItem{}, 0);
  {
    const MutexLock lock(mutex_);
    const bool ended = changed_.WaitFor(mutex_, kFinishLimit,
                                        [this]() COGWHEEL_REQUIRES(mutex_) { return ended_; });
    if (!ended) return NotTaken("the encoder did not end");
    if (!status_.ok()) return status_;
  }
  return OutputSummary{
      .size_bytes = writer_.size_bytes(),
      .sha256 = writer_.HexDigest(),
      .media_type = spec_.output == OutputKind::kVideo ? kVideoMediaType : kTensorMediaType,
      .encode_seconds = encode_seconds_};
}

}  // namespace cogwheel
