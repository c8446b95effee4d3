#include "tests/gpu/gpu_ranks.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "worker/comm/mailbox/socket_communicator.h"
#include "worker/comm/nccl/nccl_communicator.h"
#include "worker/device/device.h"
#include "worker/journal/journaled_world.h"

namespace cogwheel {
namespace {

constexpr int kFailed = 1;

int CountNamed(const char* variable, int otherwise) {
  const char* count = std::getenv(variable);
  return count == nullptr ? otherwise : std::atoi(count);
}

// Several ranks on one GPU: NCCL refuses them unless each claims a host of its own.
void ClaimOwnHost() {
  const std::string host = "cogwheel-" + std::to_string(getpid());
  for (const auto& [name, value] :
       {std::pair("NCCL_HOSTID", host.c_str()), std::pair("NCCL_NET", "Socket"),
        std::pair("NCCL_SOCKET_IFNAME", "lo"), std::pair("NCCL_IB_DISABLE", "1")}) {
    setenv(name, value, /*overwrite=*/1);
  }
}

// A rank's life; never returns.
[[noreturn]] void RunRank(int rank, PeerListener listener, SocketWorldOptions options,
                          const GpuRankProgram& fn) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  int code = 0;
  try {
    ForbidNvlinkMulticast();
    if (static_cast<int>(options.addresses.size()) > GpusForTests()) ClaimOwnHost();
    options.rank = rank;
    const c10::InferenceMode inference;
    at::set_num_threads(4);
    const int gpu = GpuOfRank(rank);
    const DeviceScope scope(OpenStream(at::Device(at::kCUDA, static_cast<c10::DeviceIndex>(gpu))));
    FlightRecorder recorder;
    NcclWorld connected = ConnectNcclWorld(ConnectSocketWorld(std::move(listener), options),
                                           {.device_idx = gpu, .time_limit = options.time_limit});
    const JournaledWorld world =
        Journaled(std::move(connected.communicator), std::move(connected.stream_waits), recorder);
    fn(*world.communicator, *world.journal);
    if (testing::Test::HasFailure()) code = kFailed;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "rank %d: %.2000s\n", rank, error.what());
    code = kFailed;
  }
  std::fflush(nullptr);
  _exit(code);  // without the destructors of what the parent had made
}

// True when the process ended well in time.
bool Await(pid_t pid, std::chrono::steady_clock::time_point deadline) {
  pollfd entry{.fd = static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), .events = POLLIN};
  const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  const bool ended = poll(&entry, 1, std::max<int>(0, static_cast<int>(left.count()))) == 1;
  close(entry.fd);
  if (!ended) kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int GpusForTests() { return CountNamed("COGWHEEL_GPUS", 0); }

int RanksForTests() { return CountNamed("COGWHEEL_RANKS", GpusForTests()); }

int GpuOfRank(int rank) { return rank % std::max(1, GpusForTests()); }

void ComputeOnOneThread() { at::set_num_threads(1); }

void SpawnGpuRanks(int size, const std::function<void(Communicator& world)>& fn,
                   std::chrono::seconds limit, std::chrono::milliseconds time_limit) {
  const GpuRankProgram without = [&fn](Communicator& world, ProgramJournal&) { fn(world); };
  SpawnGpuRanks(size, without, limit, time_limit);
}

void SpawnGpuRanks(int size, const GpuRankProgram& fn, std::chrono::seconds limit,
                   std::chrono::milliseconds time_limit) {
  std::vector<PeerListener> listeners;
  SocketWorldOptions options{.token = "gpu test", .time_limit = time_limit};
  for (int rank = 0; rank < size; ++rank) {
    listeners.emplace_back("127.0.0.1");
    options.addresses.push_back(listeners.back().address());
  }
  std::fflush(nullptr);
  const auto deadline = std::chrono::steady_clock::now() + limit;
  std::vector<pid_t> ranks;
  for (int rank = 0; rank < size; ++rank) {
    const pid_t pid = fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) RunRank(rank, std::move(listeners[rank]), options, fn);
    ranks.push_back(pid);
  }
  for (int rank = 0; rank < size; ++rank) {
    EXPECT_TRUE(Await(ranks[rank], deadline)) << "rank " << rank << " of " << size;
  }
}

SharedBytes::SharedBytes(size_t size) {
  void* data =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, /*fd=*/-1, 0);
  if (data == MAP_FAILED) throw std::bad_alloc();
  bytes_ = {static_cast<std::byte*>(data), size};
}

SharedBytes::~SharedBytes() { munmap(bytes_.data(), bytes_.size()); }

}  // namespace cogwheel
