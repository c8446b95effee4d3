// A work that one rank gives up, on both CPU communicators.
#include <array>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "tests/worker/comm/both_worlds.h"
#include "worker/comm/communicator.h"

namespace cogwheel {
namespace {

using std::chrono::seconds;

class AbandonedWorkTest : public BothWorlds {};

std::string AbandonedBecause(const std::function<void()>& action) {
  try {
    action();
  } catch (const WorkAbandoned& abandoned) {
    return abandoned.what();
  }
  return "not abandoned";
}

// One rank gives up amid exchanges of the world and of a split: the others leave it wherever they
// are, and the next work finds nothing of it, however far each was.
TEST_P(AbandonedWorkTest, AnAbandonedWorkEndsForAllAndTheNextIsWhole) {
  World world = Make(3);
  const std::array all{0, 1, 2};
  std::vector<std::unique_ptr<Communicator>> splits;
  for (auto& rank : world) splits.push_back(rank->Split(all, "ring"));
  for (const int work : {1, 2}) {
    SCOPED_TRACE(work);
    for (auto& rank : world) rank->EnterWork(work);
    Send(*world[0], 1, Filled(100, 1));  // never taken
    Send(*splits[2], 1, Filled(7, 2));
    EXPECT_EQ(Take(*splits[1], 2, 7), Filled(7, 2));
    Send(*splits[2], 1, Filled(9, 3));  // never taken
    Bytes place(100);
    const Communicator::Ticket open = Receive(*splits[0], 2, place);
    std::thread waiting(
        [&] { EXPECT_EQ(AbandonedBecause([&] { Take(*world[1], 2, 5); }), "rank 2 is full"); });
    world[2]->Abandon("rank 2 is full");
    waiting.join();
    EXPECT_EQ(AbandonedBecause([&] { Take(*world[0], 2, 5); }), "rank 2 is full");
    EXPECT_EQ(AbandonedBecause([&] { splits[0]->Finish(open); }), "rank 2 is full");
    EXPECT_EQ(AbandonedBecause([&] { Send(*splits[1], 0, Filled(1, 1)); }), "rank 2 is full");
    EXPECT_EQ(AbandonedBecause([&] { Send(*world[2], 0, Filled(1, 1)); }), "rank 2 is full");
  }
  for (auto& rank : world) rank->EnterWork(3);
  for (int sender = 0; sender < 3; ++sender) {
    Send(*world[sender], (sender + 1) % 3, Filled(64, sender));
    Send(*splits[sender], (sender + 1) % 3, Filled(32, 10 + sender));
  }
  for (int rank = 0; rank < 3; ++rank) {
    const int sender = (rank + 2) % 3;
    EXPECT_EQ(Take(*world[rank], sender, 64), Filled(64, sender));
    EXPECT_EQ(Take(*splits[rank], sender, 32), Filled(32, 10 + sender));
  }
}

// Ranks need not be at one place in time: one has ended the work, one has not begun it.
TEST_P(AbandonedWorkTest, ARankHearsOnlyOfTheWorkItIsIn) {
  World world = Make(2);
  world[0]->EnterWork(7);
  Send(*world[0], 1, Filled(8, 1));
  world[0]->Abandon("early");
  world[0]->EnterWork(8);
  Send(*world[0], 1, Filled(8, 2));
  Send(*world[0], 0, Filled(1, 3));
  EXPECT_EQ(Take(*world[0], 0, 1), Filled(1, 3));
  world[1]->EnterWork(7);  // begins when the other has long gone on
  EXPECT_EQ(AbandonedBecause([&] {
              Take(*world[1], 0, 8);  // it may be there before the word that ends the work
              Take(*world[1], 0, 8);
            }),
            "early");
  world[1]->EnterWork(8);
  EXPECT_EQ(Take(*world[1], 0, 8), Filled(8, 2));
  world[1]->EnterWork(8);  // no other: counts go on
  Send(*world[0], 1, Filled(8, 4));
  EXPECT_EQ(Take(*world[1], 0, 8), Filled(8, 4));
}

// What is abandoned does not count towards the bound.
TEST_P(AbandonedWorkTest, AnAbandonedWorkIsFreed) {
  World world = Make(2, seconds(20), /*held_bytes_per_peer=*/20'000);
  const auto job0 = world[0]->Split(std::array{0, 1}, "job");
  for (int work = 1; work < 20; ++work) {
    for (auto& rank : world) rank->EnterWork(work);
    Send(*job0, 1, Filled(9000, work));  // never taken
    Send(*world[0], 1, Filled(1, work));
    Take(*world[1], 0, 1);
    world[work % 2]->Abandon("full");
  }
  for (auto& rank : world) rank->EnterWork(20);
  Send(*world[0], 1, Filled(9000, 20));
  EXPECT_EQ(Take(*world[1], 0, 9000), Filled(9000, 20));
}

INSTANTIATE_TEST_SUITE_P(Kinds, AbandonedWorkTest, AllWorldKinds(), NameOfWorldKind);

}  // namespace
}  // namespace cogwheel
