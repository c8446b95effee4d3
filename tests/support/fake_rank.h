#pragma once

#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "cogwheel/internal/v1/rank_control.grpc.pb.h"

namespace cogwheel {

// One rank of world size 1 at the other end of RankControl.Join, in this process: greets, forms,
// and answers orders as its options say.
class FakeRank {
 public:
  using Message = internal::v1::RankMessage;
  using Order = internal::v1::FrontendMessage;

  struct Options {
    std::string group = "default";
    std::string model = "tiny";
    std::string digest;                 // of the model; empty: as protocol 1, whose digest is none
    std::vector<std::string> warnings;  // in its answers to RunJob
    std::vector<std::string> vocabulary;  // of the model
    bool image_required = false;          // by the model
    bool accept_jobs = true;              // answer RunJob with 0
    bool finish_on_start = true;          // send `result` when a job starts
    bool end_on_cancel = true;            // JobDone(CANCELLED) on CancelJob
    std::string result = "the result";
  };

  FakeRank(const std::string& address, Options options);
  ~FakeRank();

  // Of the job that runs.
  void SendProgress(int step, int steps);
  void SendChunk(int64_t offset, const std::string& data);
  void SendDone(int code, const std::string& result);
  // The stream breaks.
  void Disconnect();

  bool WaitFor(Order::MessageCase kind);
  Order Last(Order::MessageCase kind);
  // The stream's end, once it has one.
  grpc::Status Finished();

 private:
  void Read();
  void Beat();
  void Handle(const Order& order);
  void Send(const Message& message);

  const Options options_;
  std::unique_ptr<internal::v1::RankControl::Stub> stub_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<Message, Order>> stream_;
  Mutex mutex_;
  Mutex write_mutex_;
  CondVar changed_;
  std::map<int, Order> orders_ COGWHEEL_GUARDED_BY(mutex_);
  int64_t epoch_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  int64_t sequence_ COGWHEEL_GUARDED_BY(mutex_) = 0;
  bool ended_ COGWHEEL_GUARDED_BY(mutex_) = false;
  grpc::Status status_ COGWHEEL_GUARDED_BY(mutex_);
  std::thread reader_, heartbeats_;
};

}  // namespace cogwheel
