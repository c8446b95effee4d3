#pragma once

#include <functional>

#include "worker/comm/communicator.h"
#include "worker/journal/program_journal.h"

namespace cogwheel {

// SpawnRanks for code with tensors: each rank in inference mode and with one ATen thread, as the
// ranks of a worker are.
void SpawnTensorRanks(int size, const std::function<void(Communicator&)>& fn);
// For programs that keep a journal.
void SpawnTensorRanks(int size, const std::function<void(Communicator&, ProgramJournal&)>& fn);

}  // namespace cogwheel
