#pragma once

#include <chrono>
#include <deque>

#include "worker/comm/nccl/nccl_handle.h"

namespace cogwheel {

// How long exchanges held a rank's stream back: an event before and one behind each wait of it,
// read when both have passed. Nothing here waits for the device. Owned by the rank thread.
class StreamWaits {
 public:
  // Lets `stream` wait for `done` and notes how long it will have.
  void Wait(cudaStream_t stream, const CudaEvent& done);
  // Of the waits that are over and were not taken yet. Throws CommError on a fault of the device.
  std::chrono::nanoseconds Take();

 private:
  struct Noted {
    CudaEvent begin, end;
  };
  std::deque<Noted> noted_;  // as many as there are exchanges between two calls of Take
};

}  // namespace cogwheel
