#include "tests/support/spawn_tensor_ranks.h"

#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include "tests/support/spawn_ranks.h"

namespace cogwheel {

void SpawnTensorRanks(int size, const std::function<void(Communicator&)>& fn) {
  SpawnRanks(size, [&](Communicator& comm) {
    at::set_num_threads(1);
    const c10::InferenceMode inference;
    fn(comm);
  });
}

}  // namespace cogwheel
