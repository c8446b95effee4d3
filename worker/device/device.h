#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Stream.h>
#include <c10/core/StreamGuard.h>

// Where a rank's tensors live and its work goes, on the CPU and on GPUs by the same calls.
namespace cogwheel {

// A stream for work on this device, apart from the default one; on the CPU a stream in name only.
// A process takes few of them: each has its own pool of memory. fp32 stays fp32 from here on,
// without the shortened mantissas of tensor cores. Throws when there is no such device.
c10::Stream OpenStream(at::Device device);

// Within its life the calling thread's work goes to this stream and its device.
using DeviceScope = c10::StreamGuard;

// The stream to which the calling thread's work on this device goes.
c10::Stream CurrentStream(at::Device device);

// The stream on which the calling thread's work with this tensor runs, for exchanges and kernels:
// never null for a tensor on a GPU inside a DeviceScope, null for one on the CPU.
void* StreamOf(const at::Tensor& tensor);

// Waits until the calling thread's work on this device is done. On the CPU it is.
void WaitFor(at::Device device);

}  // namespace cogwheel
