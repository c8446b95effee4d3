#pragma once

#include <chrono>
#include <deque>

#include "worker/comm/nccl/nccl_handle.h"
#include "worker/comm/stream_waits.h"

namespace cogwheel {

// Reads them from events, one before and one behind each wait of a stream,
// when both have passed. Owned by the rank thread.
class NcclStreamWaits final : public StreamWaits {
 public:
  // Lets `stream` wait for `done` and notes how long it will have.
  void Wait(cudaStream_t stream, const CudaEvent& done);
  std::chrono::nanoseconds Take() override;

 private:
  struct Noted {
    CudaEvent begin, end;
  };
  std::deque<Noted> noted_;  // as many as there are exchanges between two calls of Take
};

}  // namespace cogwheel
