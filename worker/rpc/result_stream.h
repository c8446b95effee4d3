#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "base/mutex.h"
#include "worker/media/video_encoder.h"
#include "worker/rank/frontend_link.h"
#include "worker/rpc/chunk_writer.h"
#include "worker/rpc/message_stream.h"

namespace cogwheel {

// World rank 0's results on their way to the frontend. The rank thread copies frames into a bounded
// queue; a result thread encodes them and writes chunks while later frames are still decoded. When
// the queue is full, or the frontend does not take a chunk in time, the job fails (status), never
// the group. FrameSink and Finish belong to the rank thread.
class ResultStream final : public JobOutput {
 public:
  // `stream` outlives this. send_limit: for the frontend to make room for one message.
  ResultStream(const JobSpec& spec, MessageStream& stream, std::chrono::milliseconds send_limit);
  ~ResultStream() override;

  void OnProgress(Stage stage, int step, int steps) override;
  void OnPreview(std::span<const uint8_t> rgb, int height, int width, int step, int steps) override;
  void OnFrames(std::span<const uint8_t> rgb, int frame_count, int height, int width) override;
  void OnLatents(std::span<const float> values, int frames, int channels, int height,
                 int width) override;
  absl::Status status() const override;
  absl::StatusOr<OutputSummary> Finish() override;

 private:
  struct PreviewItem {
    std::vector<uint8_t> rgb;
    int height = 0, width = 0, step = 0, steps = 0;
  };
  struct FramesItem {
    std::vector<uint8_t> rgb;
    int count = 0, height = 0, width = 0;
  };
  struct LatentsItem {
    std::vector<float> values;
    std::vector<int64_t> shape;
  };
  struct EndItem {};
  using Item = std::variant<PreviewItem, FramesItem, LatentsItem, EndItem>;

  void Push(Item item, size_t bytes);
  void Work();
  absl::Status Deliver(const PreviewItem& item);
  absl::Status Deliver(const FramesItem& item);
  absl::Status Deliver(const LatentsItem& item);
  absl::Status Deliver(const EndItem& item);
  absl::Status EncodeVideo(const FramesItem& item);
  absl::Status SendChunk(int64_t offset, std::string data);
  absl::Status Send(internal::v1::RankMessage message);
  // Of [F, H, W, 3] frames, written before the first of them.
  absl::Status WriteFramesHeader(const FramesItem& item);

  const JobSpec spec_;
  MessageStream& stream_;
  const std::chrono::milliseconds send_limit_;

  mutable Mutex mutex_;
  CondVar changed_;
  std::deque<std::pair<Item, size_t>> queue_ COGWHEEL_GUARDED_BY(mutex_);
  size_t queued_bytes_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool ended_ COGWHEEL_GUARDED_BY(mutex_) = false;  // the result thread has left
  absl::Status status_ COGWHEEL_GUARDED_BY(mutex_);

  // The result thread's, and Finish's once it has ended.
  ChunkWriter writer_;
  std::unique_ptr<VideoEncoder> encoder_;
  bool header_written_ = false;
  double encode_seconds_ = 0;

  std::atomic<bool> given_up_{false};  // the job is over: what is not sent never will be
  std::thread thread_;
};

}  // namespace cogwheel
