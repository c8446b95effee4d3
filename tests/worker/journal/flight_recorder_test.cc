#include "worker/journal/flight_recorder.h"

#include <thread>

#include <gtest/gtest.h>

#include "tests/support/barrier.h"
#include "tests/support/journaled_ranks.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

TEST(FlightRecorderTest, KeepsTheLastExchanges) {
  FlightRecorder recorder;
  const FlightRecorder::Time start{seconds(100)};
  recorder.EnterBlock(BlockKind::kStep, start);
  for (int i = 0; i < 1500; ++i) {
    const int64_t sequence = recorder.Started("ring", i, start + milliseconds(i));
    if (sequence != 1500) recorder.Finished(sequence, start + milliseconds(i + 1));
  }
  const auto entries = recorder.Entries();
  ASSERT_EQ(entries.size(), 1024);
  EXPECT_EQ(entries.front().sequence, 477);
  EXPECT_EQ(entries.back().sequence, 1500);
  EXPECT_EQ(entries.back().finished, FlightRecorder::Time{});
  EXPECT_EQ(DescribeEntry(entries.back(), start + milliseconds(3499)),
            "#1500 ring 1499 B, block 1, 2.000 s ago, open");
  EXPECT_EQ(DescribeEntry(entries.front(), start + milliseconds(3476)),
            "#477 ring 476 B, block 1, 3.000 s ago, 0.001000 s");
}

TEST(FlightRecorderTest, TellsHowLongBlocksTook) {
  std::vector<std::tuple<BlockKind, int64_t, int64_t>> ended;
  std::vector<int64_t> agreed;
  FlightRecorder recorder(
      {.on_block_end =
           [&](const FlightRecorder::EndedBlock& block) {
             ended.push_back({block.kind, block.took / seconds(1), block.waited / seconds(1)});
           },
       .on_agreed = [&](std::chrono::nanoseconds took) { agreed.push_back(took / seconds(1)); }});
  const FlightRecorder::Time start{};
  recorder.EnterBlock(BlockKind::kText, start);
  recorder.BlockAgreed(start + seconds(1));
  recorder.EnterBlock(BlockKind::kStep, start + seconds(2));
  recorder.Waited(milliseconds(500));
  recorder.Waited(milliseconds(1500));
  recorder.EnterBlock(BlockKind::kStep, start + seconds(5));
  recorder.EnterBlock(BlockKind::kNone, start + seconds(6));
  recorder.EnterBlock(BlockKind::kText, start + seconds(9));
  EXPECT_EQ(agreed, std::vector<int64_t>{1});
  EXPECT_EQ(ended,
            (std::vector<std::tuple<BlockKind, int64_t, int64_t>>{
                {BlockKind::kText, 2, 0}, {BlockKind::kStep, 3, 2}, {BlockKind::kStep, 1, 0}}));
}

TEST(FlightRecorderTest, TellsHowLongUnitsWorked) {
  std::vector<std::tuple<std::string, int64_t, bool>> ended;
  FlightRecorder recorder({.on_unit_end = [&](const FlightRecorder::EndedUnit& unit) {
    ended.push_back({std::string(unit.work.name), unit.worked / seconds(1), unit.whole});
  }});
  const FlightRecorder::Time start{};
  recorder.BeginUnit({.name = "layer"}, start);  // of no block
  recorder.EnterBlock(BlockKind::kStep, start + seconds(1));
  recorder.BeginUnit({.name = "layer"}, start + seconds(2));
  recorder.BeginWait(start + seconds(4));
  EXPECT_TRUE(recorder.unit().waiting);
  recorder.EndWait(start + seconds(7));
  EXPECT_EQ(recorder.unit().waited, seconds(3));
  recorder.BeginUnit({.name = "layer"}, start + seconds(8));
  EXPECT_EQ(recorder.unit().began, start + seconds(8));
  recorder.EnterBlock(BlockKind::kStep, start + seconds(9));
  recorder.BeginUnit({.name = "layer"}, start + seconds(9));
  recorder.EnterBlock(BlockKind::kNone, start + seconds(10), /*whole=*/false);
  EXPECT_EQ(ended, (std::vector<std::tuple<std::string, int64_t, bool>>{{"denoise", 1, true},
                                                                        {"layer", 3, true},
                                                                        {"layer", 1, true},
                                                                        {"denoise", 0, true},
                                                                        {"layer", 1, false}}));
}

// True once the last exchange has been open for that long.
bool HasBeenOpen(const FlightRecorder& recorder, std::chrono::nanoseconds time) {
  const FlightRecorder::Entry last = recorder.Entries().back();
  return last.block == 1 && std::chrono::steady_clock::now() - last.started > time;
}

// Rank 1 is late in the first of two blocks.
TEST(FlightRecorderTest, NotesHowLongABlockWaitedForOthers) {
  constexpr milliseconds kLate{200};
  std::vector<std::chrono::nanoseconds> waited[2];
  auto ranks = MakeJournaledWorld(2, seconds(20), Wire::kSockets, [&](int rank) {
    return FlightRecorder::Hooks{.on_block_end = [&own = waited[rank]](const auto& block) {
      EXPECT_LT(block.waited, block.took);
      own.push_back(block.waited);
    }};
  });
  SpawnJournaledRanks(ranks, [&](Communicator& comm, ProgramJournal& journal) {
    Barrier(comm, nullptr);
    journal.EnterBlock(BlockKind::kStep);
    while (comm.rank() == 1 && !HasBeenOpen(*ranks[0].recorder, kLate)) std::this_thread::yield();
    Barrier(comm, nullptr);
    journal.EnterBlock(BlockKind::kStep);
    Exchange(comm, {}, {}, nullptr);  // with nobody
    journal.EnterBlock(BlockKind::kNone);
  });
  ASSERT_EQ(waited[0].size(), 2);
  ASSERT_EQ(waited[1].size(), 2);
  EXPECT_GT(waited[0][0], kLate / 2);
  EXPECT_LT(waited[1][0], waited[0][0]);
  EXPECT_EQ(waited[0][1].count(), 0);
  EXPECT_EQ(waited[1][1].count(), 0);
}

TEST(FlightRecorderTest, SeesSplitsAndBytesToOthers) {
  auto ranks = MakeJournaledWorld(2, seconds(20), Wire::kSockets);
  SpawnJournaledRanks(ranks, [](Communicator& comm, ProgramJournal&) {
    const std::array<int, 2> all = {0, 1};
    const auto ring = comm.Split(all, "ring");
    Barrier(comm, nullptr);
    Barrier(*ring, nullptr);
  });
  for (const JournaledRank& rank : ranks) {
    const FlightRecorder& recorder = *rank.recorder;
    const auto entries = recorder.Entries();
    ASSERT_EQ(entries.size(), 2);
    EXPECT_EQ(entries[0].op, "world");
    EXPECT_EQ(entries[1].op, "ring");
    EXPECT_EQ(entries[1].sent_bytes, 1);
    EXPECT_EQ(recorder.sent_bytes(), (std::map<std::string, int64_t>{{"ring", 1}, {"world", 1}}));
    EXPECT_NE(entries[1].finished, FlightRecorder::Time{});
  }
}

}  // namespace
}  // namespace cogwheel
