#include "worker/journal/journaled_world.h"

#include <chrono>
#include <optional>
#include <utility>

#include "worker/journal/recorded_communicator.h"

namespace cogwheel {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::chrono::seconds kWorthAWord{1};

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
    Promise();
    return issued;
  }
  void BlockAgreed() override { recorder_.BlockAgreed(Clock::now()); }
  void BeginUnit(const WorkUnit& unit) override {
    recorder_.BeginUnit(unit, Clock::now());
    Promise();
  }

 private:
  // Units may be short: a promise that would end when the last one does is not worth a word.
  void Promise() {
    const std::optional<std::chrono::nanoseconds> stay = recorder_.LongestStay();
    const Clock::time_point now = Clock::now();
    if (std::exchange(work_, world_.work()) != world_.work()) promised_ = {};
    if (!stay.has_value() || std::chrono::abs(now + *stay - promised_) < kWorthAWord) return;
    promised_ = now + *stay;
    world_.PostPromise(std::chrono::duration_cast<std::chrono::milliseconds>(*stay));
  }

  MailboxCommunicator& world_;
  const std::shared_ptr<Lockstep> lockstep_;
  FlightRecorder& recorder_;
  int64_t work_ = 0;
  Clock::time_point promised_{};  // in that work
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
  void BeginUnit(const WorkUnit& unit) override { recorder_.BeginUnit(unit, Clock::now()); }

 private:
  const std::shared_ptr<StreamWaits> waits_;
  FlightRecorder& recorder_;
};

}  // namespace

JournaledWorld Journaled(std::unique_ptr<MailboxCommunicator> world,
                         std::shared_ptr<Lockstep> lockstep, FlightRecorder& recorder) {
  auto journal = std::make_unique<MailboxJournal>(*world, std::move(lockstep), recorder);
  return {.communicator = Recorded(std::move(world), recorder, /*limits_waits=*/true),
          .journal = std::move(journal)};
}

JournaledWorld Journaled(std::unique_ptr<Communicator> world,
                         std::shared_ptr<StreamWaits> stream_waits, FlightRecorder& recorder) {
  auto journal = std::make_unique<StreamJournal>(std::move(stream_waits), recorder);
  return {.communicator = Recorded(std::move(world), recorder, /*limits_waits=*/false),
          .journal = std::move(journal)};
}

}  // namespace cogwheel
