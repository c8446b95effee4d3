#pragma once

#include <memory>

#include "worker/comm/communicator.h"
#include "worker/journal/flight_recorder.h"

namespace cogwheel {

// The same communicator, each exchange of it and of its splits written down. Owns `inner`;
// `recorder` outlives it. `limits_waits`: it ends a wait that is in vain by itself; what the rank
// waits is then no part of a unit's work.
std::unique_ptr<Communicator> Recorded(std::unique_ptr<Communicator> inner,
                                       FlightRecorder& recorder, bool limits_waits);

}  // namespace cogwheel
