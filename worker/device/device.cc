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

void* StreamOf(const at::Tensor& tensor) {
  if (!tensor.is_cuda()) return nullptr;
  const c10::impl::VirtualGuardImpl gpu(tensor.device().type());
  return gpu.getStream(tensor.device()).native_handle();
}

void WaitFor(at::Device device) {
  if (!device.is_cuda()) return;
  const c10::impl::VirtualGuardImpl gpu(device.type());
  gpu.synchronizeStream(gpu.getStream(device));
}

}  // namespace cogwheel
