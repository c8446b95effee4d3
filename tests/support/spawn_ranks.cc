#include "tests/support/spawn_ranks.h"

#include <exception>
#include <mutex>
#include <string>
#include <thread>
#include <utility>

#include "worker/comm/mailbox/local_communicator.h"
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

void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit) {
  SpawnRanks(MakeLocalWorld(size, time_limit), fn);
}

void SpawnRanks(std::vector<std::unique_ptr<Communicator>> world,
                const std::function<void(Communicator&)>& fn) {
  FirstError error;
  std::vector<std::thread> threads;
  for (std::unique_ptr<Communicator>& member : world) {
    // A rank leaves the world when its work is done, as a process does.
    threads.emplace_back([&, comm = std::move(member)] {
      try {
        fn(*comm);
      } catch (...) {
        error.Keep();
        comm->Abort("another rank of the test failed");
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  error.Rethrow();
}

std::vector<std::unique_ptr<Communicator>> MakeSocketWorld(int size,
                                                           std::chrono::milliseconds time_limit,
                                                           int64_t held_bytes_per_peer) {
  std::vector<PeerListener> listeners;
  std::vector<std::string> addresses;
  for (int rank = 0; rank < size; ++rank) {
    addresses.push_back(listeners.emplace_back("127.0.0.1").address());
  }
  std::vector<std::unique_ptr<Communicator>> world(size);
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
                                          .held_bytes_per_peer = held_bytes_per_peer});
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
