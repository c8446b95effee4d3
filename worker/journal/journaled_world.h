#pragma once

#include <memory>

#include "worker/comm/communicator.h"
#include "worker/comm/mailbox/mailbox_communicator.h"
#include "worker/comm/stream_waits.h"
#include "worker/journal/flight_recorder.h"
#include "worker/journal/lockstep.h"
#include "worker/journal/program_journal.h"

namespace cogwheel {

// A rank's world with the journal of the program that runs on it: each exchange is written down in
// a flight recorder, and the blocks too. Owned by the rank thread, but for Abort.
struct JournaledWorld {
  std::shared_ptr<Communicator> communicator;
  std::unique_ptr<ProgramJournal> journal;  // last: may use the communicator
};

// Of ranks that exchange messages. `lockstep` is what marks them: the world was made with it. The
// recorder outlives the result, here and below.
JournaledWorld Journaled(std::unique_ptr<MailboxCommunicator> world,
                         std::shared_ptr<Lockstep> lockstep, FlightRecorder& recorder);

// Of ranks whose exchanges carry no marks, such as those between GPUs: ranks out of step are found
// by step agreement, when a block has ended.
JournaledWorld Journaled(std::unique_ptr<Communicator> world,
                         std::shared_ptr<StreamWaits> stream_waits, FlightRecorder& recorder);

}  // namespace cogwheel
