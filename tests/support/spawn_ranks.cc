#include "tests/support/spawn_ranks.h"

#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "worker/comm/mailbox/socket_communicator.h"

namespace cogwheel {
namespace {

class FirstError {
 public:
  // The exception being handled.
  void Keep() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (first_ == nullptr) first_ = std::current_exception();
  }
  // When all threads have ended.
  void Rethrow() const {
    if (first_ != nullptr) std::rethrow_exception(first_);
  }

 private:
  std::mutex mutex_;
  std::exception_ptr first_;
};

}  // namespace

void RunRanks(std::vector<RankWork> ranks) {
  FirstError error;
  std::vector<std::thread> threads;
  for (RankWork& rank : ranks) {
    threads.emplace_back([&error, work = std::move(rank)] {
      try {
        work.run();
      } catch (...) {
        error.Keep();
        work.abort();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  error.Rethrow();
}

void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit) {
  SpawnRanks(MakeLocalWorld(size, time_limit), fn);
}

void SpawnRanks(std::vector<std::unique_ptr<MailboxCommunicator>> world,
                const std::function<void(Communicator&)>& fn) {
  std::vector<RankWork> ranks;
  for (std::unique_ptr<MailboxCommunicator>& member : world) {
    const std::shared_ptr<Communicator> comm = std::move(member);
    ranks.push_back({.run = [&fn, comm] { fn(*comm); },
                     .abort = [comm] { comm->Abort("another rank of the test failed"); }});
  }
  RunRanks(std::move(ranks));
}

std::vector<std::unique_ptr<MailboxCommunicator>> MakeSocketWorld(
    int size, std::chrono::milliseconds time_limit, const LocalWorldOptions& options) {
  std::vector<PeerListener> listeners;
  std::vector<std::string> addresses;
  for (int rank = 0; rank < size; ++rank) {
    addresses.push_back(listeners.emplace_back("127.0.0.1").address());
  }
  std::vector<std::unique_ptr<MailboxCommunicator>> world(size);
  FirstError error;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, rank] {
      try {
        world[rank] = ConnectSocketWorld(std::move(listeners[rank]),
                                         {.rank = rank,
                                          .addresses = addresses,
                                          .token = "test",
                                          .connect_limit = std::chrono::seconds(20),
                                          .time_limit = time_limit,
                                          .held_bytes_per_peer = options.held_bytes_per_peer,
                                          .marks = options.marks ? options.marks(rank) : nullptr});
      } catch (...) {
        error.Keep();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  error.Rethrow();
  return world;
}

}  // namespace cogwheel
