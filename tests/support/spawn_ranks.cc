#include "tests/support/spawn_ranks.h"

#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "worker/parallel/local_communicator.h"

namespace cogwheel {

void SpawnRanks(int size, const std::function<void(Communicator&)>& fn,
                std::chrono::milliseconds time_limit) {
  auto world = MakeLocalWorld(size, time_limit);
  std::mutex mutex;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < size; ++rank) {
    threads.emplace_back([&, comm = std::move(world[rank])]() mutable {
      try {
        fn(*comm);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(mutex);
        if (first == nullptr) first = std::current_exception();
        comm->Abort("another rank of the test failed");
      }
      comm.reset();  // a rank leaves the world when its work is done, as a process does
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first != nullptr) std::rethrow_exception(first);
}

}  // namespace cogwheel
