#include "worker/comm/communicator.h"

#include <array>
#include <atomic>
#include <chrono>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/barrier.h"
#include "tests/support/fault_communicator.h"
#include "tests/support/spawn_ranks.h"
#include "tests/worker/comm/both_worlds.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::AllOf;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

template <typename Action>
std::string ErrorOf(Action action) {
  try {
    action();
  } catch (const CommError& error) {
    return error.what();
  }
  return "no CommError";
}

class CommunicatorTest : public BothWorlds {};

// One thread plays both ranks: this ends only if no send waits for its receiver, as the last rank
// of the wavefront decode needs. 64 MiB is far more than sockets hold.
TEST_P(CommunicatorTest, SendsDoNotWaitForTheReceiver) {
  World world = Make(3);
  const Bytes first = Filled(64 << 20, 1), second = Filled(1, 2);
  Send(*world[2], 0, first);
  Send(*world[2], 0, second);
  EXPECT_EQ(Take(*world[0], 2, first.size()), first);
  EXPECT_EQ(Take(*world[0], 2, 1), second);
}

TEST_P(CommunicatorTest, PiecesMatchByOrderOfIssueAndTicketsEndInAnyOrder) {
  World world = Make(2);
  std::vector<Bytes> sent, got;
  for (int i = 0; i < 50; ++i) {
    sent.push_back(Filled(1 + i * 997, i));
    got.emplace_back(sent.back().size());
  }
  // Sent as pieces of one exchange and as exchanges of their own; received the other way round.
  std::vector<SendPiece> pieces;
  for (int i = 0; i < 25; ++i) pieces.push_back({.peer = 1, .data = sent[i]});
  world[0]->Finish(world[0]->Start(pieces, {}, nullptr));
  for (int i = 25; i < 50; ++i) Send(*world[0], 1, sent[i]);
  std::vector<Communicator::Ticket> tickets;
  for (int i = 0; i < 25; ++i) tickets.push_back(Receive(*world[1], 0, got[i]));
  std::vector<RecvPiece> slots;
  for (int i = 25; i < 50; ++i) slots.push_back({.peer = 0, .data = got[i]});
  world[1]->Finish(world[1]->Start({}, slots, nullptr));
  for (auto ticket = tickets.rbegin(); ticket != tickets.rend(); ++ticket) {
    world[1]->Finish(*ticket);
  }
  EXPECT_EQ(got, sent);
}

TEST_P(CommunicatorTest, EmptyPiecesCostNothingAndOnesOwnArrive) {
  World world = Make(2);
  const Bytes data = Filled(100, 7);
  Bytes back(100);
  const std::array sends{SendPiece{.peer = 0, .data = data}, SendPiece{.peer = 1, .data = {}}};
  const std::array recvs{RecvPiece{.peer = 0, .data = back}, RecvPiece{.peer = 1, .data = {}}};
  Exchange(*world[0], sends, recvs, nullptr);
  EXPECT_EQ(back, data);
  EXPECT_EQ(world[0]->sent_bytes(), 0);
}

TEST_P(CommunicatorTest, CountsBytesToOthersOfItselfAndItsSplits) {
  World world = Make(2);
  const std::array members{1, 0};
  const auto split = world[0]->Split(members, "pair");
  const Bytes data = Filled(40, 1);
  Send(*world[0], 1, data);
  Send(*world[0], 0, data);
  Send(*split, /*to=*/0, data);  // world rank 1
  EXPECT_EQ(world[0]->sent_bytes(), 80);
  EXPECT_EQ(split->sent_bytes(), 80);
  EXPECT_EQ(world[1]->sent_bytes(), 0);
}

TEST_P(CommunicatorTest, DoneTellsWhetherFinishWouldBlock) {
  World world = Make(2);
  Bytes got(3);
  const Communicator::Ticket ticket = Receive(*world[1], 0, got);
  EXPECT_FALSE(world[1]->Done(ticket));
  const Bytes data = Filled(3, 1);
  Send(*world[0], 1, data);
  const auto limit = Clock::now() + seconds(20);
  while (!world[1]->Done(ticket) && Clock::now() < limit) std::this_thread::yield();
  world[1]->Finish(ticket);
  EXPECT_EQ(got, data);
}

TEST_P(CommunicatorTest, AMessageOfAnotherSizeNamesBothSides) {
  World world = Make(3);
  const std::array members{2, 0};
  const auto sender = world[2]->Split(members, "ring");
  const auto receiver = world[0]->Split(members, "ring");
  Send(*sender, 1, Filled(8, 1));
  Send(*sender, 1, Filled(4096, 1));
  Take(*receiver, 0, 8);
  EXPECT_EQ(ErrorOf([&] { Take(*receiver, 0, 2048); }),
            "rank 2 sent 4096 bytes where rank 0 expects 2048 (channel ring, message 1)");
}

TEST_P(CommunicatorTest, FinishHasATimeLimit) {
  World world = Make(2, milliseconds(50));
  Bytes got(1);
  const auto start = Clock::now();
  EXPECT_EQ(ErrorOf([&] { world[0]->Finish(Receive(*world[0], 1, got)); }),
            "rank 0 waited 50 ms for rank 1's message 0 (channel world) in vain");
  EXPECT_GE(Clock::now() - start, milliseconds(50));
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST_P(CommunicatorTest, MisuseIsRefused) {
  World world = Make(2);
  const Bytes data = Filled(1, 1);
  EXPECT_THROW(Send(*world[0], 2, data), std::invalid_argument);
  EXPECT_THROW(Send(*world[0], -1, data), std::invalid_argument);
  const Communicator::Ticket ticket = Send(*world[0], 1, data);
  world[0]->Finish(ticket);
  EXPECT_THROW(world[0]->Finish(ticket), std::logic_error);
  EXPECT_THROW(world[0]->Done(ticket), std::logic_error);
  const std::array others{1};
  EXPECT_THROW(world[0]->Split(others, "others"), std::invalid_argument);
}

TEST_P(CommunicatorTest, SplitsKeepTheirOrderAndDoNotMix) {
  World world = Make(3);
  const std::array members{2, 1};
  const auto a1 = world[1]->Split(members, "a"), a2 = world[2]->Split(members, "a");
  const auto b1 = world[1]->Split(members, "b"), b2 = world[2]->Split(members, "b");
  EXPECT_EQ(a2->rank(), 0);
  EXPECT_EQ(a1->rank(), 1);
  EXPECT_EQ(a1->size(), 2);
  const Bytes of_world = Filled(10, 1), of_a = Filled(10, 2), of_b = Filled(10, 3);
  Send(*world[1], 2, of_world);
  Send(*a1, 0, of_a);
  Send(*b1, 0, of_b);
  EXPECT_EQ(Take(*b2, 1, 10), of_b);
  EXPECT_EQ(Take(*a2, 1, 10), of_a);
  EXPECT_EQ(Take(*world[2], 1, 10), of_world);
}

TEST_P(CommunicatorTest, SplitsOfSplitsAndRepeatedSplitsAreApart) {
  World world = Make(3);
  const std::vector<int> outer{0, 1, 2}, inner{2, 1};
  const auto outer1 = world[1]->Split(outer, "x"), outer2 = world[2]->Split(outer, "x");
  const auto inner1 = outer1->Split(inner, "x"), inner2 = outer2->Split(inner, "x");
  const auto again1 = outer1->Split(inner, "x"), again2 = outer2->Split(inner, "x");
  const Bytes first = Filled(5, 1), second = Filled(5, 2), third = Filled(5, 3);
  Send(*outer1, 2, first);
  Send(*inner1, 0, second);
  Send(*again1, 0, third);
  EXPECT_EQ(Take(*again2, 1, 5), third);
  EXPECT_EQ(Take(*inner2, 1, 5), second);
  EXPECT_EQ(Take(*outer2, 1, 5), first);
}

// A cancelled job leaves messages that nobody took; the next job's communicators have the same
// names and members.
TEST_P(CommunicatorTest, LeftoversOfADestroyedSplitDoNotDisturbTheNext) {
  World world = Make(2);
  const std::array members{0, 1};
  auto job0 = world[0]->Split(members, "job"), job1 = world[1]->Split(members, "job");
  for (int i = 0; i < 10; ++i) Send(*job0, 1, Filled(64, i));
  Take(*job1, 0, 64);
  job1.reset();
  for (int i = 0; i < 10; ++i) Send(*job0, 1, Filled(64, i));  // one still sends, one has ended
  job0.reset();
  job0 = world[0]->Split(members, "job");
  job1 = world[1]->Split(members, "job");
  const Bytes fresh = Filled(32, 99);
  Send(*job0, 1, fresh);
  EXPECT_EQ(Take(*job1, 0, 32), fresh);
  const Bytes of_world = Filled(16, 5);
  Send(*world[0], 1, of_world);
  EXPECT_EQ(Take(*world[1], 0, 16), of_world);
}

// What a destroyed split left is freed: it does not count towards the bound.
TEST_P(CommunicatorTest, LeftoversAreFreed) {
  World world = Make(2, seconds(20), /*held_bytes_per_peer=*/20'000);
  const std::array members{0, 1};
  for (int job = 0; job < 20; ++job) {
    const auto job0 = world[0]->Split(members, "job"), job1 = world[1]->Split(members, "job");
    Send(*job0, 1, Filled(4000, job));
    const Bytes data = Filled(1000, job);
    Send(*job0, 1, data);
    Bytes got(4000);
    job1->Finish(Receive(*job1, 0, got));
    EXPECT_EQ(got, Filled(4000, job));
    Send(*job0, 1, Filled(4000, job));  // never taken
  }
  Send(*world[0], 1, Filled(4000, 20));
  EXPECT_EQ(Take(*world[1], 0, 4000), Filled(4000, 20));
}

TEST_P(CommunicatorTest, ARankTooFarAheadFailsTheWorld) {
  World world = Make(2, seconds(20), /*held_bytes_per_peer=*/1 << 20);
  const std::string sender = ErrorOf([&] {
    for (int i = 0; i < 100; ++i) Send(*world[0], 1, Filled(1 << 20, i));
  });
  EXPECT_THAT(sender, testing::AnyOf(HasSubstr("rank 0 is too far ahead of rank 1"),
                                     HasSubstr("bytes to send to rank 1, which does not read")));
  world[0]->Abort(sender);
  Bytes got(1);
  EXPECT_NE(ErrorOf([&] {
              for (int i = 0; i < 100; ++i) world[1]->Finish(Receive(*world[1], 0, got));
            }),
            "no CommError");
}

// All waits of this process, and those of the others (the socket ranks hear of it).
TEST_P(CommunicatorTest, AbortFromAnotherThreadWakesEveryWaiter) {
  World world = Make(3, seconds(60));
  std::atomic<int> waiting = 0;
  std::vector<std::string> errors(3);
  std::vector<std::thread> threads;
  for (int rank = 0; rank < 3; ++rank) {
    threads.emplace_back([&, rank] {
      const std::array all{0, 1, 2};
      const auto split = world[rank]->Split(all, "job");
      Bytes got(1);
      const Communicator::Ticket ticket = Receive(*split, (rank + 1) % 3, got);
      ++waiting;
      errors[rank] = ErrorOf([&] { split->Finish(ticket); });
    });
  }
  while (waiting < 3) std::this_thread::yield();
  const auto start = Clock::now();
  world[1]->Abort("the frontend is gone");
  for (std::thread& thread : threads) thread.join();
  EXPECT_LT(Clock::now() - start, seconds(5));
  for (const std::string& error : errors) EXPECT_THAT(error, HasSubstr("the frontend is gone"));
  // And later: the world stays unusable.
  for (int rank = 0; rank < 3; ++rank) {
    EXPECT_THAT(ErrorOf([&] { Send(*world[rank], 0, Filled(1, 1)); }),
                HasSubstr("the frontend is gone"));
  }
}

// The last exchange of a world must not race with its end: what was sent before is still there.
TEST_P(CommunicatorTest, ARankThatLeavesInGoodOrderDisturbsNobody) {
  World world = Make(3, seconds(20));
  const Bytes last = Filled(8 << 20, 1), other = Filled(10, 2);
  Send(*world[0], 1, last);
  world[0].reset();
  EXPECT_EQ(Take(*world[1], 0, last.size()), last);
  Send(*world[2], 1, other);
  EXPECT_EQ(Take(*world[1], 2, 10), other);
  Bytes got(1);
  EXPECT_EQ(ErrorOf([&] { world[1]->Finish(Receive(*world[1], 0, got)); }),
            "rank 0 left the world; rank 1 still wants rank 0's message 1 (channel world)");
  EXPECT_THAT(ErrorOf([&] { world[1]->Done(Receive(*world[1], 0, got)); }),
              HasSubstr("rank 0 left the world"));
}

TEST_P(CommunicatorTest, CollectivesExactly) {
  constexpr int kSize = 4, kRoot = 2;
  SpawnRanks(Make(kSize), [](Communicator& comm) {
    const int rank = comm.rank();
    Bytes shared = rank == kRoot ? Filled(1000, 42) : Bytes(1000);
    Broadcast(comm, kRoot, shared, nullptr);
    EXPECT_EQ(shared, Filled(1000, 42));

    // Rank i brings 100 i bytes: rank 0 none.
    const Bytes mine = Filled(100 * rank, rank);
    std::vector<Bytes> parts(kSize);
    std::vector<std::span<std::byte>> slots;
    for (int i = 0; i < kSize; ++i) {
      parts[i].resize(100 * i);
      slots.emplace_back(parts[i]);
    }
    Gather(comm, kRoot, mine, rank == kRoot ? std::span(slots) : std::span(slots).first(0),
           nullptr);
    for (int i = 0; i < kSize && rank == kRoot; ++i) EXPECT_EQ(parts[i], Filled(100 * i, i));

    for (Bytes& part : parts) std::ranges::fill(part, std::byte{0});
    AllGather(comm, mine, slots, nullptr);
    for (int i = 0; i < kSize; ++i) EXPECT_EQ(parts[i], Filled(100 * i, i));
  });
}

TEST_P(CommunicatorTest, NobodyPassesABarrierBeforeAllHaveEntered) {
  std::atomic<int> entered = 0;
  SpawnRanks(Make(4), [&](Communicator& comm) {
    for (int round = 1; round <= 20; ++round) {
      ++entered;
      Barrier(comm, nullptr);
      EXPECT_GE(entered, 4 * round);
      Barrier(comm, nullptr);
    }
  });
}

// Exchanges of random sizes on three communicators at once, every byte compared.
TEST_P(CommunicatorTest, ManyExchangesArriveWhole) {
  constexpr int kSize = 4, kRounds = 60;
  const auto size_of = [](int round, int channel, int from, int to) {
    return (round * 131 + channel * 31 + from * 7 + to * 3) % 5 == 0
               ? 0
               : (round * 7919 + channel * 104729 + from * 1299709 + to * 15485863) % 20000;
  };
  const auto seed_of = [](int round, int channel, int from, int to) {
    return ((round * 3 + channel) * kSize + from) * kSize + to;
  };
  SpawnRanks(Make(kSize), [&](Communicator& world) {
    const std::array<int, kSize> reversed{3, 2, 1, 0}, same{0, 1, 2, 3};
    const auto a = world.Split(reversed, "a"), b = world.Split(same, "b");
    const std::array<Communicator*, 3> channels{&world, a.get(), b.get()};
    for (int round = 0; round < kRounds; ++round) {
      std::array<std::vector<Bytes>, 3> sent, got;
      std::array<Communicator::Ticket, 3> tickets{};
      for (int c = 0; c < 3; ++c) {
        Communicator& comm = *channels[c];
        std::vector<SendPiece> sends;
        std::vector<RecvPiece> recvs;
        sent[c].resize(kSize);
        got[c].resize(kSize);
        for (int peer = 0; peer < kSize; ++peer) {
          sent[c][peer] =
              Filled(size_of(round, c, comm.rank(), peer), seed_of(round, c, comm.rank(), peer));
          got[c][peer].resize(size_of(round, c, peer, comm.rank()));
          sends.push_back({.peer = peer, .data = sent[c][peer]});
          recvs.push_back({.peer = peer, .data = got[c][peer]});
        }
        tickets[c] = comm.Start(sends, recvs, nullptr);
      }
      for (const int c : {2, 0, 1}) {
        channels[c]->Finish(tickets[c]);
        for (int peer = 0; peer < kSize; ++peer) {
          ASSERT_EQ(got[c][peer],
                    Filled(got[c][peer].size(), seed_of(round, c, peer, channels[c]->rank())));
        }
      }
    }
  });
}

TEST_P(CommunicatorTest, SizeOneTalksToItself) {
  SpawnRanks(Make(1), [](Communicator& comm) {
    Barrier(comm, nullptr);
    Bytes data = Filled(9, 1);
    Broadcast(comm, 0, data, nullptr);
    Bytes back(9);
    const std::array<std::span<std::byte>, 1> slots{std::span(back)};
    AllGather(comm, data, slots, nullptr);
    EXPECT_EQ(back, data);
    EXPECT_EQ(comm.sent_bytes(), 0);
  });
}

INSTANTIATE_TEST_SUITE_P(Kinds, CommunicatorTest, AllWorldKinds(), NameOfWorldKind);

TEST(SpawnRanksTest, ThrowsTheFirstErrorAndWakesTheOthers) {
  const auto start = Clock::now();
  EXPECT_EQ(ErrorOf([] {
              SpawnRanks(
                  3,
                  [](Communicator& comm) {
                    if (comm.rank() == 1) throw CommError("rank 1 has a problem");
                    Barrier(comm, nullptr);
                  },
                  seconds(60));
            }),
            "rank 1 has a problem");
  EXPECT_LT(Clock::now() - start, seconds(5));
}

TEST(FaultCommunicatorTest, FailsDropsOrHoldsTheChosenExchange) {
  const auto run = [](const Fault& fault) {
    return ErrorOf([&] {
      SpawnRanks(
          2,
          [&](Communicator& comm) {
            FaultCommunicator faulty(comm, comm.rank() == 1 ? fault : Fault{.at_start = -1});
            const std::array all{0, 1};
            const auto split = faulty.Split(all, "job");
            for (int i = 0; i < 4; ++i) Barrier(*split, nullptr);
            EXPECT_EQ(faulty.starts(), 4);
          },
          milliseconds(300));
    });
  };
  EXPECT_EQ(run({.kind = Fault::Kind::kFail, .at_start = 2}), "planned fault of rank 1");
  EXPECT_THAT(run({.kind = Fault::Kind::kDrop, .at_start = 2}),
              AllOf(HasSubstr("rank 1's message 2"), HasSubstr("in vain")));
  bool held = false;
  EXPECT_EQ(run({.kind = Fault::Kind::kHold, .at_start = 3, .hold = [&] { held = true; }}),
            "no CommError");
  EXPECT_TRUE(held);
  EXPECT_EQ(run({.kind = Fault::Kind::kFail, .at_start = 4}), "no CommError");
}

}  // namespace
}  // namespace cogwheel
