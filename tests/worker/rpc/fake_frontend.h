#pragma once

#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <grpcpp/grpcpp.h>

#include "base/mutex.h"
#include "cogwheel/internal/v1/rank_control.grpc.pb.h"

namespace cogwheel {

// A frontend that does only what a test tells it. Serves RankControl on a loopback port.
class FakeFrontend final : public internal::v1::RankControl::Service {
 public:
  FakeFrontend();
  ~FakeFrontend() override;

  const std::string& address() const { return address_; }

  // Waits until `count` ranks have said Hello; false after the limit.
  bool WaitForRanks(int count, std::chrono::seconds limit);
  internal::v1::Hello hello(int rank);
  // To the rank that said Hello as number `rank`.
  void Send(int rank, const internal::v1::FrontendMessage& message);
  // Assigns every rank its place, in order of local_rank, and waits for all Formed. Ranks are
  // numbered by world rank from then on.
  bool Form(int64_t epoch, std::chrono::seconds limit);
  // Runs a plan on all ranks: RunJob, the answers, StartJob.
  bool StartJob(int64_t epoch, int64_t sequence, const internal::v1::JobPlan& plan);
  // The next message of a rank that `wanted` accepts; others are kept in `seen`. Null after the
  // limit.
  using Wanted = std::function<bool(const internal::v1::RankMessage&)>;
  std::unique_ptr<internal::v1::RankMessage> Wait(int rank, const Wanted& wanted,
                                                  std::chrono::seconds limit);
  // Everything that a rank has sent so far and Wait has passed.
  std::vector<internal::v1::RankMessage> Seen(int rank);
  // No more answers to heartbeats.
  void FallSilent() { silent_ = true; }
  // Takes nothing more off any rank's stream.
  void StopReading();
  // True once the rank's stream has ended.
  bool WaitForEnd(int rank, std::chrono::seconds limit);

  grpc::Status Join(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<internal::v1::FrontendMessage,
                                             internal::v1::RankMessage>* stream) override;

 private:
  struct Rank {
    grpc::ServerContext* context = nullptr;
    grpc::ServerReaderWriter<internal::v1::FrontendMessage, internal::v1::RankMessage>* stream;
    internal::v1::Hello hello;
    std::deque<internal::v1::RankMessage> unread;
    std::vector<internal::v1::RankMessage> seen;
    bool ended = false;
    Mutex writing;
  };

  std::atomic<bool> silent_{false};
  Mutex mutex_;
  CondVar changed_;
  bool reads_ COGWHEEL_GUARDED_BY(mutex_) = true;
  std::vector<std::shared_ptr<Rank>> ranks_ COGWHEEL_GUARDED_BY(mutex_);
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace cogwheel
