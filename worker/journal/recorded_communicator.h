#pragma once

#include <memory>

#include "worker/comm/communicator.h"
#include "worker/journal/flight_recorder.h"

namespace cogwheel {

// The same communicator, each exchange of it and of its splits written down. Owns `inner`;
// `recorder` outlives it.
std::unique_ptr<Communicator> Recorded(std::unique_ptr<Communicator> inner,
                                       FlightRecorder& recorder);

}  // namespace cogwheel
