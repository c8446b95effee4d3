#pragma once

#include <memory>
#include <string>

#include <ATen/core/Tensor.h>
#include <c10/core/Event.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

// Which processor a rank works on. The CPU and CUDA GPUs by the same names; the arithmetic is
// ATen's and worker/kernels'.
namespace cogwheel {

// GPUs that this process can use: 0 without a driver, without a device or in a build without CUDA.
int CudaDeviceCount();
// Why there are none: "built without CUDA" or "no CUDA device".
std::string WhyNoCuda();
// True in a build with CUDA, whether there is a device or not.
bool BuiltWithCuda();

// A stream for work on this device, apart from the default one; on the CPU a stream in name only.
// A process takes few of them: each has its own pool of memory. fp32 stays fp32 from here on,
// without the shortened mantissas of tensor cores. Throws when there is no such device.
c10::Stream OpenStream(at::Device device);

// Within its life the calling thread's work goes to this stream and its device.
using DeviceScope = c10::StreamGuard;

// The stream on which the calling thread's work with this tensor runs, for exchanges and kernels:
// never null for a tensor on a GPU inside a DeviceScope, null for one on the CPU.
void* StreamOf(const at::Tensor& tensor);

// Marks a point in the calling thread's work and waits for it. Nothing on the CPU, where work is
// done when it returns.
class DeviceMark {
 public:
  void Set(at::Device device);
  // Returns at once when nothing was marked.
  void Wait();

 private:
  std::unique_ptr<c10::Event> event_;
};

}  // namespace cogwheel
