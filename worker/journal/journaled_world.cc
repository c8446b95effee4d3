#include "worker/journal/journaled_world.h"

#include <chrono>
#include <utility>

#include "worker/journal/recorded_communicator.h"

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

class MailboxJournal final : public ProgramJournal {
 public:
  MailboxJournal(MailboxCommunicator& world, std::shared_ptr<Lockstep> lockstep,
                 FlightRecorder& recorder)
      : world_(world), lockstep_(std::move(lockstep)), recorder_(recorder) {}

  int64_t EnterBlock(BlockKind kind) override {
    const int64_t issued = recorder_.EnterBlock(kind, Clock::now());
    const Lockstep::Entered entered = lockstep_->EnterBlock(kind);
    if (!entered.wrong.empty()) world_.Fail(entered.wrong);
    world_.PostNote(entered.note);  // throws if the world has failed
    return issued;
  }
  void BlockAgreed() override { recorder_.BlockAgreed(Clock::now()); }

 private:
  MailboxCommunicator& world_;
  const std::shared_ptr<Lockstep> lockstep_;
  FlightRecorder& recorder_;
};

class StreamJournal final : public ProgramJournal {
 public:
  StreamJournal(std::shared_ptr<StreamWaits> waits, FlightRecorder& recorder)
      : waits_(std::move(waits)), recorder_(recorder) {}

  int64_t EnterBlock(BlockKind kind) override {
    recorder_.Waited(waits_->Take());
    return recorder_.EnterBlock(kind, Clock::now());
  }
  void BlockAgreed() override { recorder_.BlockAgreed(Clock::now()); }

 private:
  const std::shared_ptr<StreamWaits> waits_;
  FlightRecorder& recorder_;
};

}  // namespace

JournaledWorld Journaled(std::unique_ptr<MailboxCommunicator> world,
                         std::shared_ptr<Lockstep> lockstep, FlightRecorder& recorder) {
  auto journal = std::make_unique<MailboxJournal>(*world, std::move(lockstep), recorder);
  return {.communicator = Recorded(std::move(world), recorder), .journal = std::move(journal)};
}

JournaledWorld Journaled(std::unique_ptr<Communicator> world,
                         std::shared_ptr<StreamWaits> stream_waits, FlightRecorder& recorder) {
  auto journal = std::make_unique<StreamJournal>(std::move(stream_waits), recorder);
  return {.communicator = Recorded(std::move(world), recorder), .journal = std::move(journal)};
}

}  // namespace cogwheel
