#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/journal/program_journal.h"

namespace cogwheel {

// What goes wrong at one exchange of one rank, counted over its communicator and all splits of it.
struct Fault {
  enum class Kind {
    kFail,  // Start throws CommError
    kDrop,  // nothing is sent: the peers wait until their time limit
    kHold,  // `hold` runs before the exchange starts: the rank is late
    // A program that went wrong; what the exchange would have brought is left as it was.
    kSkip,     // the exchange is not issued
    kRepeat,   // it is issued twice
    kReorder,  // it changes places with the next
  };
  Kind kind = Kind::kFail;
  int at_start = 0;  // the first Start is 0; -1: never
  std::function<void()> hold;
};

// Passes everything on to another communicator, but for one fault. Owned by the rank thread; Abort
// is thread-safe if the other's is.
class FaultCommunicator final : public Communicator {
 public:
  // Borrows.
  FaultCommunicator(Communicator& inner, Fault fault)
      : inner_(inner), plan_(std::make_shared<Plan>(std::move(fault))) {}

  int rank() const override { return inner_.rank(); }
  int size() const override { return inner_.size(); }
  Ticket Start(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs,
               StreamHandle stream) override {
    if (plan_->starts++ != plan_->fault.at_start) {
      const Ticket ticket = inner_.Start(sends, recvs, stream);
      if (const auto late = std::exchange(plan_->deferred, {})) late();
      return ticket;
    }
    plan_->fault_block = plan_->blocks.load();
    switch (plan_->fault.kind) {
      case Fault::Kind::kFail:
        throw CommError("planned fault of rank " + std::to_string(rank()));
      case Fault::Kind::kDrop:
        return inner_.Start({}, recvs, stream);
      case Fault::Kind::kHold:
        plan_->fault.hold();
        break;
      case Fault::Kind::kSkip:
        return kNothing;
      case Fault::Kind::kRepeat:
        inner_.Finish(inner_.Start(sends, recvs, stream));
        break;
      case Fault::Kind::kReorder:
        Defer(sends, recvs);
        return kNothing;
    }
    return inner_.Start(sends, recvs, stream);
  }
  void Finish(Ticket ticket) override {
    if (ticket != kNothing) inner_.Finish(ticket);
  }
  bool Done(Ticket ticket) override { return ticket == kNothing || inner_.Done(ticket); }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    return std::make_unique<FaultCommunicator>(inner_.Split(members, name), plan_);
  }
  void EnterWork(int64_t number) override { inner_.EnterWork(number); }
  void Abandon(const std::string& why) override { inner_.Abandon(why); }
  void Abort(const std::string& reason) override { inner_.Abort(reason); }
  int64_t sent_bytes() const override { return inner_.sent_bytes(); }

  // The rank's journal with the blocks counted. Borrows the world's.
  std::unique_ptr<ProgramJournal> Journal(ProgramJournal& inner) {
    return std::make_unique<CountedJournal>(inner, plan_);
  }

  // How many exchanges were started, splits included.
  int starts() const { return plan_->starts; }
  // Blocks entered, and that of the fault; -1 before it.
  int blocks() const { return plan_->blocks; }
  int fault_block() const { return plan_->fault_block; }

 private:
  static constexpr Ticket kNothing = ~Ticket{0};

  struct Plan {
    explicit Plan(Fault planned) : fault(std::move(planned)) {}
    const Fault fault;
    std::atomic<int> starts{0}, blocks{0}, fault_block{-1};
    std::function<void()> deferred;
  };

  class CountedJournal final : public ProgramJournal {
   public:
    CountedJournal(ProgramJournal& inner, std::shared_ptr<Plan> plan)
        : inner_(inner), plan_(std::move(plan)) {}
    int64_t EnterBlock(BlockKind kind) override {
      ++plan_->blocks;
      return inner_.EnterBlock(kind);
    }
    void BlockAgreed() override { inner_.BlockAgreed(); }
    void BeginUnit(const WorkUnit& unit) override { inner_.BeginUnit(unit); }

   private:
    ProgramJournal& inner_;
    const std::shared_ptr<Plan> plan_;
  };

  // Once the next exchange was started; with copies, as the buffers may be gone then.
  void Defer(std::span<const SendPiece> sends, std::span<const RecvPiece> recvs) {
    plan_->deferred = [this, to = std::vector<SendPiece>(sends.begin(), sends.end()),
                       from = std::vector<RecvPiece>(recvs.begin(), recvs.end())] {
      std::vector<std::vector<std::byte>> buffers;
      std::vector<SendPiece> out;
      std::vector<RecvPiece> in;
      for (const SendPiece& piece : to) {
        out.push_back({piece.peer, buffers.emplace_back(piece.data.size())});
      }
      for (const RecvPiece& piece : from) {
        in.push_back({piece.peer, buffers.emplace_back(piece.data.size())});
      }
      inner_.Finish(inner_.Start(out, in, nullptr));
    };
  }

 public:
  // A split: owns what it passes on to.
  FaultCommunicator(std::unique_ptr<Communicator> inner, std::shared_ptr<Plan> plan)
      : owned_(std::move(inner)), inner_(*owned_), plan_(std::move(plan)) {}

 private:
  const std::unique_ptr<Communicator> owned_;
  Communicator& inner_;
  const std::shared_ptr<Plan> plan_;
};

}  // namespace cogwheel
