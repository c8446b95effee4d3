#include "tests/worker/rpc/fake_frontend.h"

#include <algorithm>

namespace cogwheel {

using internal::v1::FrontendMessage;
using internal::v1::RankMessage;

FakeFrontend::FakeFrontend() {
  int port = 0;
  grpc::ServerBuilder builder;
  builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(this);
  server_ = builder.BuildAndStart();
  address_ = "127.0.0.1:" + std::to_string(port);
}

FakeFrontend::~FakeFrontend() {
  {
    const MutexLock lock(mutex_);
    reads_ = true;
    changed_.NotifyAll();
    for (const auto& rank : ranks_) {
      if (!rank->ended) rank->context->TryCancel();
    }
  }
  server_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(5));
}

grpc::Status FakeFrontend::Join(grpc::ServerContext* context,
                                grpc::ServerReaderWriter<FrontendMessage, RankMessage>* stream) {
  const auto rank = std::make_shared<Rank>();
  rank->context = context;
  rank->stream = stream;
  RankMessage message;
  while (stream->Read(&message)) {
    if (message.has_heartbeat() && !silent_) {
      FrontendMessage beat;
      beat.mutable_beat()->set_epoch(message.heartbeat().epoch());
      const MutexLock lock(rank->writing);
      stream->Write(beat);
    }
    const MutexLock lock(mutex_);
    if (message.has_hello()) {
      rank->hello = message.hello();
      ranks_.push_back(rank);
    } else if (!message.has_heartbeat()) {
      rank->unread.push_back(message);
    }
    changed_.NotifyAll();
    changed_.WaitFor(mutex_, std::chrono::minutes(1), [this] { return reads_; });
  }
  const MutexLock lock(mutex_);
  rank->ended = true;
  changed_.NotifyAll();
  return grpc::Status::OK;
}

void FakeFrontend::StopReading() {
  const MutexLock lock(mutex_);
  reads_ = false;
}

bool FakeFrontend::WaitForRanks(int count, std::chrono::seconds limit) {
  const MutexLock lock(mutex_);
  return changed_.WaitFor(mutex_, limit, [&] { return ranks_.size() >= count; });
}

internal::v1::Hello FakeFrontend::hello(int rank) {
  const MutexLock lock(mutex_);
  return ranks_.at(rank)->hello;
}

void FakeFrontend::Send(int rank, const FrontendMessage& message) {
  std::shared_ptr<Rank> to;
  {
    const MutexLock lock(mutex_);
    to = ranks_.at(rank);
    if (to->ended) return;
  }
  const MutexLock lock(to->writing);
  to->stream->Write(message);
}

bool FakeFrontend::Form(int64_t epoch, std::chrono::seconds limit) {
  FrontendMessage message;
  internal::v1::Assign& assign = *message.mutable_assign();
  assign.set_epoch(epoch);
  assign.set_token("0123456789abcdef");
  int count = 0;
  {
    const MutexLock lock(mutex_);
    std::sort(ranks_.begin(), ranks_.end(), [](const auto& a, const auto& b) {
      return a->hello.local_rank() < b->hello.local_rank();
    });
    for (const auto& rank : ranks_) assign.add_peer_addresses(rank->hello.peer_address());
    count = static_cast<int>(ranks_.size());
  }
  for (int rank = 0; rank < count; ++rank) {
    assign.set_world_rank(rank);
    Send(rank, message);
  }
  for (int rank = 0; rank < count; ++rank) {
    if (!Wait(rank, [](const RankMessage& m) { return m.has_formed(); }, limit)) return false;
  }
  return true;
}

bool FakeFrontend::StartJob(int64_t epoch, int64_t sequence, const internal::v1::JobPlan& plan) {
  int count = 0;
  {
    const MutexLock lock(mutex_);
    count = static_cast<int>(ranks_.size());
  }
  FrontendMessage run;
  run.mutable_run_job()->set_epoch(epoch);
  run.mutable_run_job()->set_job_sequence(sequence);
  run.mutable_run_job()->set_job("jobs/test");
  *run.mutable_run_job()->mutable_plan() = plan;
  for (int rank = 0; rank < count; ++rank) {
    if (rank > 0) run.mutable_run_job()->mutable_plan()->clear_image();
    Send(rank, run);
  }
  for (int rank = 0; rank < count; ++rank) {
    const auto answer = Wait(
        rank, [](const RankMessage& m) { return m.has_job_answer(); }, std::chrono::seconds(20));
    if (answer == nullptr || answer->job_answer().code() != 0) return false;
  }
  FrontendMessage start;
  start.mutable_start_job()->set_epoch(epoch);
  start.mutable_start_job()->set_job_sequence(sequence);
  for (int rank = 0; rank < count; ++rank) Send(rank, start);
  return true;
}

std::unique_ptr<RankMessage> FakeFrontend::Wait(int rank, const Wanted& wanted,
                                                std::chrono::seconds limit) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  const MutexLock lock(mutex_);
  const std::shared_ptr<Rank> from = ranks_.at(rank);
  while (true) {
    const auto left = deadline - std::chrono::steady_clock::now();
    const bool arrived =
        changed_.WaitFor(mutex_, std::max(left, std::chrono::steady_clock::duration::zero()),
                         [&] { return !from->unread.empty() || from->ended; });
    if (!arrived || from->unread.empty()) return nullptr;
    RankMessage message = std::move(from->unread.front());
    from->unread.pop_front();
    if (wanted(message)) return std::make_unique<RankMessage>(std::move(message));
    from->seen.push_back(std::move(message));
  }
}

std::vector<RankMessage> FakeFrontend::Seen(int rank) {
  const MutexLock lock(mutex_);
  return ranks_.at(rank)->seen;
}

bool FakeFrontend::WaitForEnd(int rank, std::chrono::seconds limit) {
  const MutexLock lock(mutex_);
  return changed_.WaitFor(mutex_, limit, [&] { return ranks_.at(rank)->ended; });
}

}  // namespace cogwheel
