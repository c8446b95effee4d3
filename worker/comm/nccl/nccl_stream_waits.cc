#include "worker/comm/nccl/nccl_stream_waits.h"

namespace cogwheel {

void NcclStreamWaits::Wait(cudaStream_t stream, const CudaEvent& done) {
  CudaEvent begin = RecordTimedEvent(stream);
  CheckCuda(cudaStreamWaitEvent(stream, done.get()), "cudaStreamWaitEvent");
  noted_.push_back({.begin = std::move(begin), .end = RecordTimedEvent(stream)});
}

std::chrono::nanoseconds NcclStreamWaits::Take() {
  std::chrono::duration<double, std::milli> waited(0);
  while (!noted_.empty()) {
    const cudaError_t state = cudaEventQuery(noted_.front().end.get());
    if (state == cudaErrorNotReady) break;
    CheckCuda(state, "an exchange");
    float milliseconds = 0;
    CheckCuda(
        cudaEventElapsedTime(&milliseconds, noted_.front().begin.get(), noted_.front().end.get()),
        "cudaEventElapsedTime");
    waited += decltype(waited)(milliseconds);
    noted_.pop_front();
  }
  return std::chrono::duration_cast<std::chrono::nanoseconds>(waited);
}

}  // namespace cogwheel
