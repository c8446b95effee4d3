#include "worker/journal/recorded_communicator.h"

#include <chrono>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

// The calling thread waits for another rank as long as this lives.
class Wait {
 public:
  explicit Wait(FlightRecorder& recorder) : recorder_(recorder) {
    recorder_.BeginWait(Clock::now());
  }
  ~Wait() { recorder_.EndWait(Clock::now()); }
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

 private:
  FlightRecorder& recorder_;
};

class RecordedCommunicator final : public Communicator {
 public:
  RecordedCommunicator(std::unique_ptr<Communicator> inner, FlightRecorder& recorder,
                       bool limits_waits, std::string op, std::shared_ptr<int64_t> work)
      : inner_(std::move(inner)),
        recorder_(recorder),
        limits_waits_(limits_waits),
        op_(std::move(op)),
        work_(std::move(work)) {}

  int rank() const override { return inner_->rank(); }
  int size() const override { return inner_->size(); }
  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle stream) override {
    const int64_t sent = BytesWithOthers(sends);
    const bool timed = stream == nullptr && sent + BytesWithOthers(recvs) > 0;
    const FlightRecorder::Time begin = Clock::now();
    const int64_t sequence = recorder_.Started(op_, sent, begin);
    const Ticket ticket = inner_->Start(sends, recvs, stream);
    if (timed) recorder_.Waited(Clock::now() - begin);
    // What former works have left open is never finished.
    if (std::exchange(open_of_, *work_) != *work_) open_.clear();
    open_[ticket] = {.sequence = sequence, .timed = timed};
    return ticket;
  }
  void Finish(Ticket ticket) override {
    const auto entry = open_.extract(ticket);
    const bool timed = !entry.empty() && entry.mapped().timed;
    const FlightRecorder::Time begin = Clock::now();
    if (timed && limits_waits_) {
      const Wait wait(recorder_);
      inner_->Finish(ticket);
    } else {
      inner_->Finish(ticket);
      if (timed) recorder_.Waited(Clock::now() - begin);
    }
    if (!entry.empty()) recorder_.Finished(entry.mapped().sequence, Clock::now());
  }
  bool Done(Ticket ticket) override { return inner_->Done(ticket); }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    return std::make_unique<RecordedCommunicator>(inner_->Split(members, name), recorder_,
                                                  limits_waits_, name, work_);
  }
  void EnterWork(int64_t number) override {
    inner_->EnterWork(number);
    *work_ = number;
  }
  void Abandon(const std::string& why) override { inner_->Abandon(why); }
  void Abort(const std::string& reason) override { inner_->Abort(reason); }
  int64_t sent_bytes() const override { return inner_->sent_bytes(); }

 private:
  struct Open {
    int64_t sequence = 0;
    bool timed = false;  // the calling thread waits, and for another rank
  };

  template <typename Piece>
  int64_t BytesWithOthers(std::span<const Piece> pieces) const {
    int64_t bytes = 0;
    for (const Piece& piece : pieces) {
      if (piece.peer != rank()) bytes += static_cast<int64_t>(piece.data.size());
    }
    return bytes;
  }

  const std::unique_ptr<Communicator> inner_;
  FlightRecorder& recorder_;
  const bool limits_waits_;
  const std::string op_;
  const std::shared_ptr<int64_t> work_;  // the world's, shared with splits
  int64_t open_of_ = 0;                  // the work of `open_`
  std::map<Ticket, Open> open_;
};

}  // namespace

std::unique_ptr<Communicator> Recorded(std::unique_ptr<Communicator> inner,
                                       FlightRecorder& recorder, bool limits_waits) {
  return std::make_unique<RecordedCommunicator>(std::move(inner), recorder, limits_waits, "world",
                                                std::make_shared<int64_t>(0));
}

}  // namespace cogwheel
