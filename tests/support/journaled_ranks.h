#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <vector>

#include "worker/journal/flight_recorder.h"
#include "worker/journal/journaled_world.h"

namespace cogwheel {

// A rank of a test with what a rank of a CPU group has: recorder, lockstep, journal.
struct JournaledRank {
  std::unique_ptr<FlightRecorder> recorder;
  JournaledWorld world;
};

enum class Wire { kThreads, kSockets };

// By rank. `hooks`, if given, are those of a rank's recorder.
std::vector<JournaledRank> MakeJournaledWorld(
    int size, std::chrono::milliseconds time_limit, Wire wire = Wire::kThreads,
    const std::function<FlightRecorder::Hooks(int rank)>& hooks = {});

// SpawnRanks for programs that keep a journal.
using JournaledProgram = std::function<void(Communicator& world, ProgramJournal& journal)>;
void SpawnJournaledRanks(int size, const JournaledProgram& fn,
                         std::chrono::milliseconds time_limit = std::chrono::seconds(20));
// Borrows the recorders alone: the caller may still read them.
void SpawnJournaledRanks(std::vector<JournaledRank>& ranks, const JournaledProgram& fn);

}  // namespace cogwheel
