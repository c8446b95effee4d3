#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <absl/status/statusor.h>

#include "worker/rank/frontend_link.h"
#include "worker/rpc/frontend_access.h"
#include "worker/rpc/message_stream.h"
#include "worker/rpc/wire_orders.h"

namespace cogwheel {

// This rank's connection to the frontend: says Hello, puts orders into the mailbox, sends answers,
// results and a heartbeat a second from then on, and notices a frontend that falls silent. Its
// methods are the rank thread's, but for SendLeaving and SendFault; what comes in arrives on gRPC's
// threads.
class ControlStream final : public FrontendLink {
 public:
  struct Options {
    std::string frontend;  // HOST:PORT
    FrontendKeys keys;
    RankIdentity identity;
    std::chrono::milliseconds dial_limit{15'000};
    std::function<bool()> stop_requested;  // asked while dialing
    // Of the dialing: on_waiting as in DialOptions; on_connected once it is over.
    std::function<void(const std::string& why)> on_waiting = [](const std::string&) {};
    std::function<void()> on_connected = [] {};
    // For heartbeats: the number of the last exchange; bytes read so far of the model that is being
    // loaded.
    std::function<int64_t()> last_exchange = [] { return int64_t{0}; };
    std::function<int64_t()> read_bytes = [] { return int64_t{0}; };
    // On any thread, at once, whatever the rank thread does: the epoch is over; the frontend is
    // gone. The order (or LinkLost) follows in the mailbox.
    std::function<void(const std::string& why)> on_epoch_over = [](const std::string&) {};
    std::function<void(const std::string& why)> on_frontend_gone = [](const std::string&) {};
    // Silence of the frontend after which it counts as suspect (logged) and as gone.
    std::chrono::milliseconds suspect{5'000};
    std::chrono::milliseconds gone{15'000};
    // Longest wait for the frontend to make room for one message.
    std::chrono::milliseconds send_limit{30'000};
  };
  // Dials again and again until the frontend answers; UNAVAILABLE after dial_limit, CANCELLED when
  // asked to stop, INVALID_ARGUMENT for keys that cannot be read. `mailbox` outlives the stream.
  static absl::StatusOr<std::unique_ptr<ControlStream>> Connect(const Options& options,
                                                                JobMailbox& mailbox);
  ~ControlStream() override;

  void SendFormed(int64_t epoch, uint32_t weights_crc32c) override;
  void SendAnswer(const RunOrder& order, const absl::Status& status,
                  int64_t planned_bytes) override;
  void SendDone(const JobReport& report) override;
  absl::Status DecodeImage(RunOrder& order) override;
  std::unique_ptr<JobOutput> OpenOutput(const JobSpec& spec) override;
  bool CancelRequested(int64_t job_sequence) const override;
  bool StopRequested(int64_t job_sequence) const override;
  void ShowJob(int64_t job_sequence, const Pipeline* pipeline) override;
  void Flush() override;
  // The rank was asked to leave; `now`: its running job is to be handed back. Never waits.
  void SendLeaving(bool now);
  // From the watchdog. Waits until it is sent, at most a few seconds.
  void SendFault(const std::string& message);

 private:
  ControlStream(std::shared_ptr<grpc::Channel> channel, const std::string& token,
                const Options& options, JobMailbox& mailbox);

  void OnMessage(internal::v1::FrontendMessage message);
  void NotUnderstood(const internal::v1::FrontendMessage& message);
  void OnEnd(const grpc::Status& status);
  void OnFrontendGone(const std::string& why, LinkLost::Why kind);
  void SendHeartbeats();
  bool WaitForNextBeat() COGWHEEL_EXCLUDES(mutex_);  // false: stopping
  void CheckSilence();

  const Options options_;
  JobMailbox& mailbox_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::v1::RankControl::Stub> stub_;
  std::atomic<int64_t> epoch_{0};
  std::atomic<int64_t> cancelled_sequence_{0};
  std::atomic<int64_t> stopped_sequence_{0};
  std::atomic<bool> lost_{false};
  std::atomic<std::chrono::steady_clock::time_point> last_word_{};
  bool suspect_ = false;  // the heartbeat thread's

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  int64_t job_sequence_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  const Pipeline* pipeline_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;

  std::unique_ptr<MessageStream> stream_;
  std::thread heartbeats_;
};

}  // namespace cogwheel
