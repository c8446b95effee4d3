#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "worker/parallel/communicator.h"

namespace cogwheel {

// What goes wrong at one exchange of one rank, counted over its communicator and all splits of it.
struct Fault {
  enum class Kind {
    kFail,  // Start throws CommError
    kDrop,  // nothing is sent: the peers wait until their time limit
    kHold,  // `hold` runs before the exchange starts: the rank is late
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
    if (plan_->starts++ != plan_->fault.at_start) return inner_.Start(sends, recvs, stream);
    switch (plan_->fault.kind) {
      case Fault::Kind::kFail:
        throw CommError("planned fault of rank " + std::to_string(rank()));
      case Fault::Kind::kDrop:
        return inner_.Start({}, recvs, stream);
      case Fault::Kind::kHold:
        plan_->fault.hold();
        break;
    }
    return inner_.Start(sends, recvs, stream);
  }
  void Finish(Ticket ticket) override { inner_.Finish(ticket); }
  bool Done(Ticket ticket) override { return inner_.Done(ticket); }
  std::unique_ptr<Communicator> Split(std::span<const int> members,
                                      const std::string& name) override {
    return std::make_unique<FaultCommunicator>(inner_.Split(members, name), plan_);
  }
  void Abort(const std::string& reason) override { inner_.Abort(reason); }
  int64_t sent_bytes() const override { return inner_.sent_bytes(); }

  // How many exchanges were started, splits included.
  int starts() const { return plan_->starts; }

 private:
  struct Plan {
    explicit Plan(Fault planned) : fault(std::move(planned)) {}
    const Fault fault;
    std::atomic<int> starts{0};
  };

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
