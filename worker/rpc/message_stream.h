#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <grpcpp/grpcpp.h>

#include "base/mutex.h"
#include "cogwheel/internal/v1/rank_control.grpc.pb.h"

namespace cogwheel {

// One Join stream, both directions, as a gRPC client reactor. Outgoing messages wait in a bounded
// queue; at most one is being written. Thread-safe; the callbacks never wait.
class MessageStream final
    : public grpc::ClientBidiReactor<internal::v1::RankMessage, internal::v1::FrontendMessage> {
 public:
  static constexpr std::atomic<bool> kNever{false};
  struct Handlers {
    std::function<void(internal::v1::FrontendMessage)> on_message;
    std::function<void(const grpc::Status&)> on_end;  // once, last
  };
  // `token` is sent as `authorization: bearer ...` unless it is empty.
  MessageStream(internal::v1::RankControl::Stub& stub, const std::string& token, Handlers handlers);
  // Starts the call, once; from then on the handlers may be called, which may want this object.
  void Begin();

  // Queues a message; waits up to `limit` for room. DEADLINE_EXCEEDED when there is none,
  // UNAVAILABLE when the stream has ended, CANCELLED soon after `given_up` has become true.
  absl::Status Send(internal::v1::RankMessage message, std::chrono::nanoseconds limit,
                    const std::atomic<bool>& given_up = kNever);
  // Waits until all queued messages have been written. False after `limit` or when the stream
  // ended.
  bool Flush(std::chrono::nanoseconds limit);
  // Says that nothing more is sent, then cancels; true once the stream has ended, after which the
  // object may be destroyed.
  bool Close(std::chrono::nanoseconds limit);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  void WriteFront() COGWHEEL_REQUIRES(mutex_);
  void StopWriting() COGWHEEL_REQUIRES(mutex_);

  const Handlers handlers_;
  grpc::ClientContext context_;
  internal::v1::FrontendMessage incoming_;
  Mutex mutex_;
  CondVar changed_;
  std::deque<internal::v1::RankMessage> outgoing_ COGWHEEL_GUARDED_BY(mutex_);
  bool writing_ COGWHEEL_GUARDED_BY(mutex_) = false;
  bool held_ COGWHEEL_GUARDED_BY(mutex_) = true;  // writes may still be started
  bool done_ COGWHEEL_GUARDED_BY(mutex_) = false;
};

}  // namespace cogwheel
