#include "worker/journal/journaled_world.h"

#include <array>
#include <chrono>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/barrier.h"
#include "tests/support/journaled_ranks.h"
#include "worker/comm/mailbox/local_communicator.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using testing::HasSubstr;

// One byte to the other of two ranks.
void SendByte(Communicator& comm) {
  const std::byte byte{1};
  const SendPiece piece{.peer = 1 - comm.rank(), .data = {&byte, 1}};
  comm.Finish(comm.Start({&piece, 1}, {}, nullptr));
}
void TakeByte(Communicator& comm) {
  std::byte byte{};
  const RecvPiece piece{.peer = 1 - comm.rank(), .data = {&byte, 1}};
  comm.Finish(comm.Start({}, {&piece, 1}, nullptr));
}

class JournaledWorldTest : public testing::TestWithParam<Wire> {
 protected:
  // Of two ranks; what rank 0 ends with, long before the time limit.
  static std::string ErrorOfRankZero(const JournaledProgram& program) {
    auto ranks = MakeJournaledWorld(2, seconds(60), GetParam());
    std::string error;
    const auto begin = std::chrono::steady_clock::now();
    try {
      SpawnJournaledRanks(ranks, [&](Communicator& world, ProgramJournal& journal) {
        try {
          program(world, journal);
        } catch (const CommError& failure) {
          if (world.rank() == 0) error = failure.what();
          throw;
        }
      });
    } catch (const CommError&) {
    }
    EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
    return error;
  }
};

TEST_P(JournaledWorldTest, CountsTheExchangesOfEachBlockWithThoseOfSplits) {
  auto ranks = MakeJournaledWorld(2, seconds(20), GetParam());
  SpawnJournaledRanks(ranks, [](Communicator& world, ProgramJournal& journal) {
    const std::array all{0, 1};
    const auto ring = world.Split(all, "ring");
    EXPECT_EQ(journal.EnterBlock(BlockKind::kText), 0);
    const auto exchange = [&](Communicator& comm) {
      if (comm.rank() == 0) SendByte(comm);
      if (comm.rank() == 1) TakeByte(comm);
    };
    exchange(world);
    exchange(*ring);
    EXPECT_EQ(journal.EnterBlock(BlockKind::kStep), 2);
    exchange(*ring);
    EXPECT_EQ(journal.EnterBlock(BlockKind::kDecode), 1);
    EXPECT_EQ(journal.EnterBlock(BlockKind::kNone), 0);
  });
}

// Rank 1 leaves its block one exchange early and says so; rank 0 would wait for it until the limit.
TEST_P(JournaledWorldTest, ARankThatLeavesABlockEarlyWakesTheOneThatWaitsInIt) {
  const std::string error = ErrorOfRankZero([](Communicator& world, ProgramJournal& journal) {
    journal.EnterBlock(BlockKind::kStep);
    if (world.rank() == 0) {
      TakeByte(world);
      TakeByte(world);
    } else {
      SendByte(world);
      journal.EnterBlock(BlockKind::kStep);
      TakeByte(world);
    }
  });
  EXPECT_EQ(error, "out of step: rank 1 left block 1 after 1 exchanges, rank 0 has issued 2");
}

// The same message, were it not for the communicator.
TEST_P(JournaledWorldTest, AnExchangeOnAnotherCommunicatorIsFound) {
  const std::string error = ErrorOfRankZero([](Communicator& world, ProgramJournal& journal) {
    const std::array all{0, 1};
    const auto ring = world.Split(all, "ring");
    journal.EnterBlock(BlockKind::kStep);
    if (world.rank() == 0) {
      TakeByte(world);
    } else {
      SendByte(*ring);
      TakeByte(world);
    }
  });
  EXPECT_THAT(error, HasSubstr("exchange 0 of block 1 is on different communicators of rank 1"));
}

// The block's end alone shows it: rank 0 has issued one that rank 1 has not.
TEST_P(JournaledWorldTest, EnteringABlockOutOfStepFails) {
  const std::string error = ErrorOfRankZero([](Communicator& world, ProgramJournal& journal) {
    journal.EnterBlock(BlockKind::kStep);
    if (world.rank() == 1) {
      journal.EnterBlock(BlockKind::kStep);
      SendByte(world);
      TakeByte(world);
    } else {
      TakeByte(world);  // of the block after: rank 1's note has come before it
      journal.EnterBlock(BlockKind::kStep);
    }
  });
  EXPECT_EQ(error, "out of step: rank 1 left block 1 after 0 exchanges, rank 0 has issued 1");
}

// Of three ranks with a limit of 2 s for an exchange, which a busy machine keeps among the rest.
// Rank 2 works and says how long it may; rank 1 waits for it, and rank 0 for rank 1.
class PromisingRanksTest : public testing::TestWithParam<Wire> {
 protected:
  static std::vector<JournaledRank> Make(nanoseconds stay) {
    return MakeJournaledWorld(3, seconds(2), GetParam(), [stay](int rank) {
      return FlightRecorder::Hooks{.longest_stay = [rank, stay](const WorkUnit& unit) {
        if (unit.name != "layer") return nanoseconds(seconds(60));
        return rank == 2 ? stay : nanoseconds(0);
      }};
    });
  }
  static JournaledProgram Working(seconds time) {
    return [time](Communicator& world, ProgramJournal& journal) {
      journal.EnterBlock(BlockKind::kDecode);
      Barrier(world, nullptr);
      journal.BeginUnit({.name = "layer"});
      std::byte byte{};
      const RecvPiece recv{.peer = world.rank() + 1, .data = {&byte, 1}};
      if (world.rank() < 2) Exchange(world, {}, {&recv, 1}, nullptr);
      if (world.rank() == 2) Work(world, time);
      const SendPiece send{.peer = world.rank() - 1, .data = {&byte, 1}};
      if (world.rank() > 0) Exchange(world, {&send, 1}, {}, nullptr);
      journal.EnterBlock(BlockKind::kNone);
    };
  }

 private:
  // Until another rank has given up, too.
  static void Work(Communicator& world, seconds time) {
    const auto end = std::chrono::steady_clock::now() + time;
    const Communicator::Ticket nothing = world.Start({}, {}, nullptr);
    while (world.Done(nothing) && std::chrono::steady_clock::now() < end) {
      std::this_thread::yield();
    }
    world.Finish(nothing);
  }
};

TEST_P(PromisingRanksTest, AWaitLastsAsLongAsAPeerMayWork) {
  auto ranks = Make(seconds(60));
  EXPECT_NO_THROW(SpawnJournaledRanks(ranks, Working(seconds(3))));
}

TEST_P(PromisingRanksTest, AWaitEndsWithThePeersPromise) {
  auto ranks = Make(milliseconds(2200));
  EXPECT_THROW(SpawnJournaledRanks(ranks, Working(seconds(60))), CommError);
}

// What was promised for another unit is over with it.
TEST_P(PromisingRanksTest, TheLatestPromiseCounts) {
  auto ranks = MakeJournaledWorld(2, milliseconds(100), GetParam(), [](int rank) {
    return FlightRecorder::Hooks{.longest_stay = [rank](const WorkUnit& unit) {
      const bool first = unit.name == "decode" && rank == 1;
      return first ? nanoseconds(seconds(60)) : nanoseconds(milliseconds(300));
    }};
  });
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_THROW(SpawnJournaledRanks(ranks,
                                   [](Communicator& world, ProgramJournal& journal) {
                                     journal.EnterBlock(BlockKind::kDecode);
                                     journal.BeginUnit({.name = "layer"});
                                     TakeByte(world);  // each waits for the other
                                   }),
               CommError);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10));
}

std::string WireName(const testing::TestParamInfo<Wire>& info) {
  return info.param == Wire::kThreads ? "Threads" : "Sockets";
}
INSTANTIATE_TEST_SUITE_P(Wires, PromisingRanksTest, testing::Values(Wire::kThreads, Wire::kSockets),
                         WireName);

INSTANTIATE_TEST_SUITE_P(Wires, JournaledWorldTest, testing::Values(Wire::kThreads, Wire::kSockets),
                         WireName);

// A device that has held the stream back for as long as is planned, since the last call.
class PlannedWaits final : public StreamWaits {
 public:
  explicit PlannedWaits(std::vector<milliseconds> waits) : waits_(std::move(waits)) {}
  nanoseconds Take() override { return waits_.at(next_++); }

 private:
  const std::vector<milliseconds> waits_;
  size_t next_ = 0;
};

TEST(JournaledStreamsTest, ABlockHasWaitedForWhatItsStreamDid) {
  std::vector<nanoseconds> waited;
  FlightRecorder recorder({.on_block_end = [&](const FlightRecorder::EndedBlock& block) {
    waited.push_back(block.waited);
  }});
  auto world = MakeLocalWorld(1, seconds(20));
  const JournaledWorld journaled =
      Journaled(std::unique_ptr<Communicator>(std::move(world[0])),
                std::make_shared<PlannedWaits>(
                    std::vector{milliseconds(0), milliseconds(7), milliseconds(5)}),
                recorder);
  journaled.journal->EnterBlock(BlockKind::kStep);
  Exchange(*journaled.communicator, {}, {}, nullptr);
  EXPECT_EQ(journaled.journal->EnterBlock(BlockKind::kStep), 1);
  EXPECT_EQ(journaled.journal->EnterBlock(BlockKind::kNone), 0);
  EXPECT_EQ(waited, (std::vector<nanoseconds>{milliseconds(7), milliseconds(5)}));
}

}  // namespace
}  // namespace cogwheel
