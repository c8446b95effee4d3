// What only sockets have: processes that die or hang, and strangers at the door.
#include "worker/comm/mailbox/socket_communicator.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <poll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/barrier.h"
#include "worker/comm/mailbox/peer_socket.h"

namespace cogwheel {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::HasSubstr;
using Clock = std::chrono::steady_clock;

Deadline In(milliseconds limit) { return Clock::now() + limit; }

struct Listeners {
  std::vector<PeerListener> of_rank;
  std::vector<std::string> addresses;
};

Listeners Listen(int size) {
  Listeners listeners;
  for (int rank = 0; rank < size; ++rank) {
    listeners.addresses.push_back(listeners.of_rank.emplace_back("127.0.0.1").address());
  }
  return listeners;
}

std::string ErrorOf(const std::function<void()>& action) {
  try {
    action();
  } catch (const CommError& error) {
    return error.what();
  }
  return "no CommError";
}

// A rank in a process of its own, which reports lines through a socket and ends when the test lets
// go of it.
class RankProcess {
 public:
  RankProcess(int rank, Listeners& listeners, milliseconds time_limit,
              const std::function<void(Communicator&)>& work) {
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) std::abort();
    pid_ = fork();
    Socket of_test(ends[0]), of_rank(ends[1]);
    if (pid_ != 0) {
      link_ = std::move(of_test);
      return;
    }
    {
      const Socket closed = std::move(of_test);
    }
    Live(of_rank, rank, listeners, time_limit, work);
    _exit(0);
  }
  ~RankProcess() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }

  pid_t pid() const { return pid_; }

  // The next line, or "" at the deadline.
  std::string Line(Deadline deadline) const {
    std::string line;
    char letter = 0;
    pollfd entry = {.fd = link_.fd(), .events = POLLIN, .revents = 0};
    while (poll(&entry, 1, MillisecondsTo(deadline)) > 0 && read(link_.fd(), &letter, 1) == 1) {
      if (letter == '\n') return line;
      line += letter;
    }
    return "";
  }

 private:
  static void Say(const Socket& link, const std::string& line) {
    [[maybe_unused]] const ssize_t sent =
        send(link.fd(), (line + "\n").data(), line.size() + 1, MSG_NOSIGNAL);
  }
  static void Live(const Socket& link, int rank, Listeners& listeners, milliseconds time_limit,
                   const std::function<void(Communicator&)>& work) {
    std::unique_ptr<Communicator> world;
    Say(link, ErrorOf([&] {
          world = ConnectSocketWorld(std::move(listeners.of_rank[rank]),
                                     {.rank = rank,
                                      .addresses = listeners.addresses,
                                      .token = "epoch 1",
                                      .connect_limit = seconds(20),
                                      .time_limit = time_limit});
          Barrier(*world, nullptr);
        }));
    Say(link, ErrorOf([&] { work(*world); }));
    // Keeps its connections: the others must hear of the dead rank itself.
    char end = 0;
    [[maybe_unused]] const ssize_t got = read(link.fd(), &end, 1);
  }

  pid_t pid_ = -1;
  Socket link_;
};

std::vector<std::unique_ptr<RankProcess>> StartRanks(
    int size, milliseconds time_limit, const std::function<void(Communicator&)>& work) {
  Listeners listeners = Listen(size);
  std::vector<std::unique_ptr<RankProcess>> ranks;
  for (int rank = 0; rank < size; ++rank) {
    ranks.push_back(std::make_unique<RankProcess>(rank, listeners, time_limit, work));
  }
  for (const auto& rank : ranks) EXPECT_EQ(rank->Line(In(seconds(30))), "no CommError");
  return ranks;
}

void MeetForEver(Communicator& world) {
  while (true) Barrier(world, nullptr);
}

TEST(SocketWorldTest, AKilledRankFailsAllOthersWithinASecond) {
  const auto ranks = StartRanks(4, /*time_limit=*/seconds(60), MeetForEver);
  const auto start = Clock::now();
  kill(ranks[2]->pid(), SIGKILL);
  for (const int rank : {0, 1, 3}) {
    const std::string error = ranks[rank]->Line(start + seconds(20));
    EXPECT_THAT(error, HasSubstr("rank 2 ")) << "on rank " << rank;
  }
  EXPECT_LT(Clock::now() - start, seconds(1));
}

// Nobody waits for the dead rank itself: rank 0 waits for rank 1, which is well.
TEST(SocketWorldTest, AKilledRankFailsWaitsForOthersToo) {
  const auto ranks = StartRanks(3, /*time_limit=*/seconds(60), [](Communicator& world) {
    std::byte token{};
    const std::array recvs{RecvPiece{.peer = (world.rank() + 1) % 2, .data = {&token, 1}}};
    Exchange(world, {}, recvs, nullptr);
  });
  const auto start = Clock::now();
  kill(ranks[2]->pid(), SIGKILL);
  for (const int rank : {0, 1}) {
    EXPECT_THAT(ranks[rank]->Line(start + seconds(20)), HasSubstr("rank 2 "));
  }
  EXPECT_LT(Clock::now() - start, seconds(1));
}

TEST(SocketWorldTest, AStoppedRankFailsTheOthersAtTheTimeLimit) {
  const milliseconds limit(2000);
  const auto ranks = StartRanks(3, limit, MeetForEver);
  const auto start = Clock::now();
  kill(ranks[1]->pid(), SIGSTOP);
  for (const int rank : {0, 2}) {
    const std::string error = ranks[rank]->Line(start + seconds(20));
    EXPECT_THAT(error, HasSubstr("waited 2000 ms for rank 1's message")) << "on rank " << rank;
  }
  EXPECT_GE(Clock::now() - start, limit - milliseconds(50));  // the wait began before the signal
  EXPECT_LT(Clock::now() - start, limit + seconds(5));
}

TEST(SocketWorldTest, AnAbortReachesTheOtherProcesses) {
  const auto ranks = StartRanks(3, /*time_limit=*/seconds(60), [](Communicator& world) {
    // Once all have passed the barrier before.
    const std::byte mine{1};
    std::array<std::byte, 3> tokens{};
    std::vector<std::span<std::byte>> slots;
    for (std::byte& token : tokens) slots.emplace_back(&token, 1);
    Gather(world, /*root=*/1, {&mine, 1}, slots, nullptr);
    if (world.rank() == 1) world.Abort("out of memory");
    MeetForEver(world);
  });
  EXPECT_EQ(ranks[0]->Line(In(seconds(5))), "rank 1 aborted: out of memory");
  EXPECT_EQ(ranks[1]->Line(In(seconds(5))), "out of memory");
  EXPECT_EQ(ranks[2]->Line(In(seconds(5))), "rank 1 aborted: out of memory");
}

SocketWorldOptions Options(const Listeners& listeners, int rank, const std::string& token = "t") {
  return {.rank = rank,
          .addresses = listeners.addresses,
          .token = token,
          .connect_limit = seconds(20),
          .time_limit = seconds(20)};
}

TEST(SocketWorldTest, ARankOfAnotherEpochIsRefusedAndTheOthersMeet) {
  Listeners listeners = Listen(2);
  std::unique_ptr<Communicator> first;
  std::thread rank0(
      [&] { first = ConnectSocketWorld(std::move(listeners.of_rank[0]), Options(listeners, 0)); });
  const std::string refused = ErrorOf(
      [&] { ConnectSocketWorld(PeerListener("127.0.0.1"), Options(listeners, 1, "old token")); });
  const auto second = ConnectSocketWorld(std::move(listeners.of_rank[1]), Options(listeners, 1));
  rank0.join();
  EXPECT_EQ(refused, "rank 0 at " + listeners.addresses[0] +
                         " did not greet rank 1 back as a member of this epoch");
  ASSERT_NE(first, nullptr);
  const std::byte sent{42};
  std::byte got{};
  const std::array sends{SendPiece{.peer = 0, .data = {&sent, 1}}};
  const std::array recvs{RecvPiece{.peer = 1, .data = {&got, 1}}};
  second->Start(sends, {}, nullptr);
  Exchange(*first, {}, recvs, nullptr);
  EXPECT_EQ(got, sent);
}

// Ten strangers who say nothing, and others who talk nonsense or leave: the ranks meet at once,
// and not after each stranger's time to greet.
TEST(SocketWorldTest, StrangersHoldUpNobody) {
  Listeners listeners = Listen(2);
  std::vector<Socket> strangers;
  for (int i = 0; i < 10; ++i) {
    strangers.push_back(ConnectTo(listeners.addresses[0], In(seconds(5))));
  }
  const std::string request = "GET /metrics HTTP/1.1\r\nHost: somewhere\r\n\r\n";
  for (const size_t length : {1UL, request.size(), 4096UL}) {
    std::string words = request;
    words.resize(length, 'x');
    strangers.push_back(ConnectTo(listeners.addresses[0], In(seconds(5))));
    EXPECT_TRUE(SendAll(strangers.back(), std::as_bytes(std::span(words)), In(seconds(5))));
  }
  {
    const Socket gone = ConnectTo(listeners.addresses[0], In(seconds(5)));
  }
  const auto start = Clock::now();
  std::unique_ptr<Communicator> first;
  std::thread rank0(
      [&] { first = ConnectSocketWorld(std::move(listeners.of_rank[0]), Options(listeners, 0)); });
  const auto second = ConnectSocketWorld(std::move(listeners.of_rank[1]), Options(listeners, 1));
  rank0.join();
  EXPECT_LT(Clock::now() - start, seconds(2));
}

TEST(SocketWorldTest, ConnectingHasATimeLimit) {
  const auto connect = [](Listeners& listeners, int rank) {
    SocketWorldOptions options = Options(listeners, rank);
    options.connect_limit = milliseconds(200);
    return ErrorOf([&] { ConnectSocketWorld(std::move(listeners.of_rank[rank]), options); });
  };
  const auto start = Clock::now();
  Listeners silent = Listen(3);  // rank 0 listens and never answers
  EXPECT_THAT(connect(silent, 1), HasSubstr("rank 0 at " + silent.addresses[0]));
  Listeners alone = Listen(3);  // nobody comes
  EXPECT_EQ(connect(alone, 0),
            "2 of the higher ranks did not connect to rank 0 within the time limit");
  // Rank 0 has gone, and its listener with it.
  EXPECT_THAT(connect(alone, 1), HasSubstr(alone.addresses[0]));
  EXPECT_GE(Clock::now() - start, milliseconds(500));
  EXPECT_LT(Clock::now() - start, seconds(10));
}

TEST(SocketWorldTest, ATokenThatWouldBeCutIsRefused) {
  Listeners listeners = Listen(1);
  EXPECT_THROW(ConnectSocketWorld(std::move(listeners.of_rank[0]),
                                  Options(listeners, 0, std::string(65, 'x'))),
               std::invalid_argument);
}

// Rank 1 of 2 spoken by hand: greets as it should, then does what no rank does.
class PuppetRank {
 public:
  explicit PuppetRank(const std::string& address) : socket_(ConnectTo(address, In(seconds(5)))) {
    std::array<char, 80> greeting = {};
    std::memcpy(&greeting[0], "cogwheel", 8);
    greeting[8] = 't';  // the token, 64 bytes
    greeting[72] = 1;   // rank and size, 4 bytes each
    greeting[76] = 2;
    EXPECT_TRUE(Send(std::as_bytes(std::span(greeting))));
    std::array<std::byte, 80> answer;
    EXPECT_TRUE(RecvAll(socket_, answer, In(seconds(5))));
  }
  bool Send(std::span<const std::byte> data) { return SendAll(socket_, data, In(seconds(5))); }
  // The head of a frame.
  std::array<uint64_t, 7> Receive() {
    std::array<uint64_t, 7> head{};
    EXPECT_TRUE(RecvAll(socket_, std::as_writable_bytes(std::span(head)), In(seconds(5))));
    return head;
  }
  void Skip(size_t bytes) {
    std::vector<std::byte> body(bytes);
    EXPECT_TRUE(RecvAll(socket_, body, In(seconds(5))));
  }

 private:
  Socket socket_;
};

struct PuppetWorld {
  std::unique_ptr<MailboxCommunicator> rank0;
  std::optional<PuppetRank> rank1;
};

uint64_t UsedAddressSpace() {
  uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

PuppetWorld MeetPuppet(milliseconds time_limit = seconds(20)) {
  Listeners listeners = Listen(2);
  SocketWorldOptions options = Options(listeners, 0);
  options.time_limit = time_limit;
  PuppetWorld world;
  std::thread rank0(
      [&] { world.rank0 = ConnectSocketWorld(std::move(listeners.of_rank[0]), options); });
  world.rank1.emplace(listeners.addresses[0]);
  rank0.join();
  return world;
}

std::string WaitForRank1(Communicator& rank0) {
  std::byte token{};
  const std::array recvs{RecvPiece{.peer = 1, .data = {&token, 1}}};
  return ErrorOf([&] { Exchange(rank0, {}, recvs, nullptr); });
}

// Kind, work, channel, sequence, bytes and a place of two numbers.
using Frame = std::array<uint64_t, 7>;

TEST(SocketWorldTest, GarbageFromARankFailsTheWorld) {
  const Frame unknown_kind = {99}, huge = {1, 0, 0, 0, uint64_t{1} << 60};
  for (const auto& frame : {unknown_kind, huge}) {
    PuppetWorld world = MeetPuppet();
    EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(frame))));
    EXPECT_EQ(WaitForRank1(*world.rank0), "rank 1 sent a frame that cannot be");
  }
}

TEST(SocketWorldTest, AConnectionThatEndsWithinAMessageFailsTheWorld) {
  PuppetWorld world = MeetPuppet();
  const Frame half = {1, 0, 0, 0, 1000};
  EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(half))));
  world.rank1.reset();
  EXPECT_THAT(WaitForRank1(*world.rank0), HasSubstr("rank 1 "));
}

// No memory for a message: its work ends on both sides, the world does not, and what follows the
// message is read.
TEST(SocketWorldTest, AMessageWithoutRoomEndsItsWorkAlone) {
#ifdef __SANITIZE_ADDRESS__
  GTEST_SKIP() << "its address space has no limit";
#endif
  PuppetWorld world = MeetPuppet();
  constexpr uint64_t kBytes = uint64_t{1} << 30;
  rlimit before{};
  getrlimit(RLIMIT_AS, &before);
  const rlimit tight = {.rlim_cur = UsedAddressSpace() + kBytes / 2, .rlim_max = before.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_AS, &tight), 0);
  const Frame large = {1, 5, 0, 0, kBytes};
  EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(large))));
  const std::vector<std::byte> piece(1 << 20);
  for (uint64_t sent = 0; sent < kBytes; sent += piece.size()) {
    ASSERT_TRUE(world.rank1->Send(piece));
  }
  const Frame small = {1, 6, 0, 0, 1};
  EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(small))));
  EXPECT_TRUE(world.rank1->Send(std::span(piece).first(1)));
  world.rank0->EnterWork(5);
  std::byte got{};
  const std::array recvs{RecvPiece{.peer = 1, .data = {&got, 1}}};
  EXPECT_THAT([&] { Exchange(*world.rank0, {}, recvs, nullptr); },
              testing::ThrowsMessage<WorkAbandoned>(
                  "out of memory: rank 0 has no 1073741824 bytes for a message of rank 1"));
  setrlimit(RLIMIT_AS, &before);
  const Frame heard = world.rank1->Receive();
  EXPECT_EQ(heard[0], 6);  // the kind: abandon
  EXPECT_EQ(heard[1], 5);  // the work
  world.rank0->EnterWork(6);
  EXPECT_NO_THROW(Exchange(*world.rank0, {}, recvs, nullptr));
}

// What a rank has promised for one work says nothing of the next.
TEST(SocketWorldTest, APromiseEndsWithItsWork) {
  PuppetWorld world = MeetPuppet(seconds(1));
  const Frame promise = {5, /*work=*/0, 0, 0, 0, /*ms=*/60'000}, message = {1, 0, 0, 0, 1};
  const std::byte byte{};
  EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(promise))));
  EXPECT_TRUE(world.rank1->Send(std::as_bytes(std::span(message))));
  EXPECT_TRUE(world.rank1->Send({&byte, 1}));
  EXPECT_EQ(WaitForRank1(*world.rank0), "no CommError");
  world.rank0->EnterWork(1);
  const auto start = Clock::now();
  EXPECT_THAT(WaitForRank1(*world.rank0), HasSubstr("in vain"));
  EXPECT_LT(Clock::now() - start, seconds(20));
}

// A promise is no use behind what takes long to send; the latest alone is told.
TEST(SocketWorldTest, APromiseOvertakesMessages) {
  PuppetWorld world = MeetPuppet();
  constexpr size_t kBytes = 64 << 20;  // more than the sockets hold
  const std::vector<std::byte> data(kBytes);
  const std::array sends{SendPiece{.peer = 1, .data = data}, SendPiece{.peer = 1, .data = data}};
  world.rank0->Start(sends, {}, nullptr);
  EXPECT_EQ(world.rank1->Receive()[0], 1);  // it has begun
  world.rank0->PostPromise(seconds(7));
  world.rank0->PostPromise(seconds(9));
  world.rank1->Skip(kBytes);
  const Frame second = world.rank1->Receive();
  EXPECT_EQ(second[0], 5);
  EXPECT_EQ(second[5], 9000);
  EXPECT_EQ(world.rank1->Receive()[0], 1);
  world.rank1->Skip(kBytes);
}

// 64 MiB are queued for a rank that reads nothing: the end of the world waits 2 s for it, no more.
TEST(SocketWorldTest, LeavingARankThatDoesNotReadTakesBoundedTime) {
  PuppetWorld world = MeetPuppet();
  const std::vector<std::byte> data(64 << 20);
  const std::array sends{SendPiece{.peer = 1, .data = data}};
  world.rank0->Start(sends, {}, nullptr);
  const auto start = Clock::now();
  world.rank0.reset();
  EXPECT_LT(Clock::now() - start, seconds(5));
}

}  // namespace
}  // namespace cogwheel
