#include "worker/journal/recorded_communicator.h"

#include <chrono>
#include <map>
#include <span>
#include <string>
#include <utility>

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

class RecordedCommunicator final : public Communicator {
 public:
  RecordedCommunicator(std::unique_ptr<Communicator> inner, FlightRecorder& recorder,
                       std::string op)
      : inner_(std::move(inner)), recorder_(recorder), op_(std::move(op)) {}

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
    open_[ticket] = {.sequence = sequence, .timed = timed};
    return ticket;
  }
  void Finish(Ticket ticket) override {
    const FlightRecorder::Time begin = Clock::now();
    inner_->Finish(ticket);
    const auto entry = open_.extract(ticket);
    if (entry.empty()) return;
    const FlightRecorder::Time end = Clock::now();
    if (entry.mapped().timed) recorder_.Waited(end - begin);
    recorder_.Finished(entry.mapped().sequence, end);
  }
  bool Done(Ticket ticket) override { return inner_->Done(ticket); }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    return std::make_unique<RecordedCommunicator>(inner_->Split(members, name), recorder_, name);
  }
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
  const std::string op_;
  std::map<Ticket, Open> open_;
};

}  // namespace

std::unique_ptr<Communicator> Recorded(std::unique_ptr<Communicator> inner,
                                       FlightRecorder& recorder) {
  return std::make_unique<RecordedCommunicator>(std::move(inner), recorder, "world");
}

}  // namespace cogwheel
