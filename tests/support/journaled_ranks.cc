#include "tests/support/journaled_ranks.h"

#include <utility>

#include "tests/support/spawn_ranks.h"

namespace cogwheel {

std::vector<JournaledRank> MakeJournaledWorld(
    int size, std::chrono::milliseconds time_limit, Wire wire,
    const std::function<FlightRecorder::Hooks(int rank)>& hooks) {
  std::vector<std::shared_ptr<Lockstep>> locksteps;
  for (int rank = 0; rank < size; ++rank) locksteps.push_back(std::make_shared<Lockstep>(rank));
  const LocalWorldOptions options{.marks = [&](int rank) { return locksteps[rank]; }};
  auto world = wire == Wire::kThreads ? MakeLocalWorld(size, time_limit, options)
                                      : MakeSocketWorld(size, time_limit, options);
  std::vector<JournaledRank> ranks(size);
  for (int rank = 0; rank < size; ++rank) {
    ranks[rank].recorder =
        std::make_unique<FlightRecorder>(hooks ? hooks(rank) : FlightRecorder::Hooks{});
    ranks[rank].world = Journaled(std::move(world[rank]), locksteps[rank], *ranks[rank].recorder);
  }
  return ranks;
}

void SpawnJournaledRanks(int size, const JournaledProgram& fn,
                         std::chrono::milliseconds time_limit) {
  auto ranks = MakeJournaledWorld(size, time_limit);
  SpawnJournaledRanks(ranks, fn);
}

void SpawnJournaledRanks(std::vector<JournaledRank>& ranks, const JournaledProgram& fn) {
  std::vector<RankWork> works;
  for (JournaledRank& rank : ranks) {
    const auto world = std::make_shared<JournaledWorld>(std::move(rank.world));
    works.push_back(
        {.run = [&fn, world] { fn(*world->communicator, *world->journal); },
         .abort = [world] { world->communicator->Abort("another rank of the test failed"); }});
  }
  RunRanks(std::move(works));
}

}  // namespace cogwheel
