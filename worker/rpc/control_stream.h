#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include <absl/status/statusor.h>

#include "worker/rank/rank_link.h"
#include "worker/rpc/message_stream.h"
#include "worker/rpc/wire_orders.h"

namespace cogwheel {

// This rank's connection to the frontend: says Hello, puts orders into the mailbox, sends answers,
// results and a heartbeat a second. Its methods are the rank thread's; what comes in arrives on
// gRPC's threads.
class ControlStream final : public RankLink {
 public:
  struct Options {
    std::string frontend;  // HOST:PORT
    RankIdentity identity;
    std::chrono::milliseconds dial_limit{15'000};
    std::function<bool()> stop_requested;  // asked while dialing
  };
  // Dials again and again until the frontend answers; UNAVAILABLE after dial_limit, CANCELLED when
  // asked to stop. `mailbox` outlives the stream.
  static absl::StatusOr<std::unique_ptr<ControlStream>> Connect(const Options& options,
                                                                JobMailbox& mailbox);
  ~ControlStream() override;

  void SendFormed(int64_t epoch) override;
  void SendAnswer(const RunOrder& order, const absl::Status& status,
                  int64_t planned_bytes) override;
  void SendDone(const JobReport& report) override;
  absl::Status DecodeImage(RunOrder& order) override;
  std::unique_ptr<JobOutput> OpenOutput(const JobSpec& spec) override;
  bool CancelRequested(int64_t job_sequence) const override;
  void ShowJob(int64_t job_sequence, const Pipeline* pipeline) override;
  void Flush() override;

 private:
  ControlStream(std::shared_ptr<grpc::Channel> channel, const RankIdentity& identity,
                JobMailbox& mailbox);

  void OnMessage(internal::v1::FrontendMessage message);
  void OnEnd(const grpc::Status& status);
  void SendHeartbeats();

  JobMailbox& mailbox_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<internal::v1::RankControl::Stub> stub_;
  std::atomic<int64_t> epoch_{0};
  std::atomic<int64_t> cancelled_sequence_{0};

  Mutex mutex_;
  CondVar changed_;
  bool stopping_ COGWHEEL_GUARDED_BY(mutex_) = false;
  int64_t job_sequence_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  const Pipeline* pipeline_ COGWHEEL_GUARDED_BY(mutex_) = nullptr;

  std::unique_ptr<MessageStream> stream_;
  std::thread heartbeats_;
};

}  // namespace cogwheel
