#include "worker/device/device.h"

#include <ATen/Context.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include "worker/device/gpu_count.h"

namespace cogwheel {

c10::Stream OpenStream(at::Device device) {
  if (!device.is_cuda()) return c10::Stream(c10::Stream::DEFAULT, device);
  const GpuCount gpus = CountGpus();
  TORCH_CHECK(device.index() < gpus.count, "GPU ", static_cast<int>(device.index()), " of ",
              gpus.count, " ", gpus.why_none);
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

c10::Stream CurrentStream(at::Device device) {
  if (!device.is_cuda()) return c10::Stream(c10::Stream::DEFAULT, device);
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device);
}

void* StreamOf(const at::Tensor& tensor) {
  return tensor.is_cuda() ? CurrentStream(tensor.device()).native_handle() : nullptr;
}

void WaitFor(at::Device device) {
  if (!device.is_cuda()) return;
  c10::impl::VirtualGuardImpl(device.type()).synchronizeStream(CurrentStream(device));
}

}  // namespace cogwheel
