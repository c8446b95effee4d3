#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <span>

#include "worker/comm/communicator.h"
#include "worker/journal/program_journal.h"

// Ranks as they are in production: a process and a GPU each, connected by sockets and NCCL.
namespace cogwheel {

// GPUs of this machine: the environment's COGWHEEL_GPUS, which tests/gpu/run sets. The test process
// itself must not touch CUDA, or its children could not.
int GpusForTests();
// Ranks that a test may have: COGWHEEL_RANKS, or as many as GPUs. Where they are more, they share
// GPUs and talk over NCCL's sockets: order, lifetimes and numbers are those of production, the
// transport and the speed are not.
int RanksForTests();
int GpuOfRank(int rank);

// For a test's beginning: the test process computes on one thread from now on. A child of a process
// whose OpenMP threads have run would hang in its own first parallel loop.
void ComputeOnOneThread();

// Runs fn once per rank, rank i on GpuOfRank(i) inside a DeviceScope and in inference mode. A rank
// fails the calling test when fn throws or has a failed expectation. Ranks that are not done within
// `limit` are killed.
void SpawnGpuRanks(int size, const std::function<void(Communicator& world)>& fn,
                   std::chrono::seconds limit = std::chrono::seconds(120),
                   std::chrono::milliseconds time_limit = std::chrono::seconds(60));
// For programs that keep a journal.
using GpuRankProgram = std::function<void(Communicator& world, ProgramJournal& journal)>;
void SpawnGpuRanks(int size, const GpuRankProgram& fn,
                   std::chrono::seconds limit = std::chrono::seconds(120),
                   std::chrono::milliseconds time_limit = std::chrono::seconds(60));

// Memory that ranks and the test share; zero at first.
class SharedBytes {
 public:
  explicit SharedBytes(size_t size);
  ~SharedBytes();
  SharedBytes(const SharedBytes&) = delete;
  SharedBytes& operator=(const SharedBytes&) = delete;
  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

}  // namespace cogwheel
