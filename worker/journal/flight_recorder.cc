#include "worker/journal/flight_recorder.h"

#include <algorithm>
#include <cstdio>
#include <map>
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
  int64_t EnterBlock(BlockKind kind) override {
    recorder_.Waited(inner_->TakeStreamWaits());
    const int64_t issued = recorder_.EnterBlock(kind, Clock::now());
    inner_->EnterBlock(kind);
    return issued;
  }
  std::chrono::nanoseconds TakeStreamWaits() override { return inner_->TakeStreamWaits(); }
  void BlockAgreed() override { recorder_.BlockAgreed(Clock::now()); }
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

double SecondsBetween(FlightRecorder::Time from, FlightRecorder::Time to) {
  return std::chrono::duration<double>(to - from).count();
}

}  // namespace

int64_t FlightRecorder::Started(const std::string& op, int64_t sent_bytes, Time now) {
  const MutexLock lock(mutex_);
  const int64_t sequence = ++last_sequence_;
  ring_[sequence % kKept] = {.sequence = sequence,
                             .op = op,
                             .sent_bytes = sent_bytes,
                             .block = block_.number,
                             .started = now,
                             .finished = {}};
  sent_bytes_[op] += sent_bytes;
  return sequence;
}

void FlightRecorder::BlockAgreed(Time now) {
  if (hooks_.on_agreed) hooks_.on_agreed(now - block().began);
}

void FlightRecorder::Waited(std::chrono::nanoseconds time) {
  const MutexLock lock(mutex_);
  waited_ += time;
}

std::map<std::string, int64_t> FlightRecorder::sent_bytes() const {
  const MutexLock lock(mutex_);
  return sent_bytes_;
}

void FlightRecorder::Finished(int64_t sequence, Time now) {
  const MutexLock lock(mutex_);
  Entry& entry = ring_[sequence % kKept];
  if (entry.sequence == sequence) entry.finished = now;
}

int64_t FlightRecorder::EnterBlock(BlockKind kind, Time now, bool whole) {
  EndedBlock summary;
  int64_t issued = 0;
  {
    const MutexLock lock(mutex_);
    const Block ended = block_;
    summary = {.kind = ended.kind,
               .took = now - ended.began,
               .waited = std::exchange(waited_, std::chrono::nanoseconds(0)),
               .whole = whole};
    issued = last_sequence_ - ended.after;
    block_ = {.kind = kind, .number = ended.number + 1, .began = now, .after = last_sequence_};
  }
  if (hooks_.on_block_end && summary.kind != BlockKind::kNone) hooks_.on_block_end(summary);
  return issued;
}

int64_t FlightRecorder::last_sequence() const {
  const MutexLock lock(mutex_);
  return last_sequence_;
}

FlightRecorder::Block FlightRecorder::block() const {
  const MutexLock lock(mutex_);
  return block_;
}

std::vector<FlightRecorder::Entry> FlightRecorder::Entries() const {
  const MutexLock lock(mutex_);
  std::vector<Entry> entries;
  const int64_t kept = kKept;
  for (int64_t i = std::max<int64_t>(last_sequence_ - kept, 0) + 1; i <= last_sequence_; ++i) {
    entries.push_back(ring_[i % kept]);
  }
  return entries;
}

std::string_view BlockName(BlockKind kind) {
  switch (kind) {
    case BlockKind::kText:
      return "text_encode";
    case BlockKind::kStep:
      return "denoise";
    case BlockKind::kDecode:
      return "decode";
    case BlockKind::kNone:
      break;
  }
  return "none";
}

std::string DescribeEntry(const FlightRecorder::Entry& entry, FlightRecorder::Time now) {
  const bool open = entry.finished == FlightRecorder::Time{};
  std::array<char, 160> text{};
  std::snprintf(
      text.data(), text.size(), "#%lld %s %lld B, block %lld, %.3f s ago, %s",
      static_cast<long long>(entry.sequence), entry.op.c_str(),
      static_cast<long long>(entry.sent_bytes), static_cast<long long>(entry.block),
      SecondsBetween(entry.started, now),
      open ? "open"
           : (std::to_string(SecondsBetween(entry.started, entry.finished)) + " s").c_str());
  return text.data();
}

std::unique_ptr<Communicator> Recorded(std::unique_ptr<Communicator> inner,
                                       FlightRecorder& recorder) {
  return std::make_unique<RecordedCommunicator>(std::move(inner), recorder, "world");
}

}  // namespace cogwheel
