#include "tests/support/spawn_tensor_ranks.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "tests/support/journaled_ranks.h"

namespace cogwheel {

void SpawnTensorRanks(int size, const std::function<void(Communicator&)>& fn) {
  SpawnTensorRanks(size, [&](Communicator& world, ProgramJournal&) { fn(world); });
}

void SpawnTensorRanks(int size, const std::function<void(Communicator&, ProgramJournal&)>& fn) {
  SpawnJournaledRanks(size, [&](Communicator& world, ProgramJournal& journal) {
    at::set_num_threads(1);
    const c10::InferenceMode inference;
    fn(world, journal);
  });
}

}  // namespace cogwheel
