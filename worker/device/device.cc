#include "worker/device/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/VirtualGuardImpl.h>

namespace cogwheel {

int CudaDeviceCount() { return at::detail::getCUDAHooks().deviceCount(); }

std::string WhyNoCuda() { return BuiltWithCuda() ? "no CUDA device" : "built without CUDA"; }

c10::Stream OpenStream(at::Device device) {
  if (!device.is_cuda()) return c10::Stream(c10::Stream::DEFAULT, device);
  TORCH_CHECK(device.index() < CudaDeviceCount(), "GPU ", static_cast<int>(device.index()),
              " of ", CudaDeviceCount(), ": ", WhyNoCuda());
  at::globalContext().setAllowTF32CuBLAS(false);
  at::globalContext().setAllowTF32CuDNN(false);
  return c10::impl::VirtualGuardImpl(device.type()).getStreamFromGlobalPool(device);
}

void* StreamOf(const at::Tensor& tensor) {
  if (!tensor.is_cuda()) return nullptr;
  const c10::impl::VirtualGuardImpl gpu(tensor.device().type());
  return gpu.getStream(tensor.device()).native_handle();
}

void DeviceMark::Set(at::Device device) {
  if (!device.is_cuda()) return;
  if (event_ == nullptr) event_ = std::make_unique<c10::Event>(device.type());
  event_->record(c10::impl::VirtualGuardImpl(device.type()).getStream(device));
}

void DeviceMark::Wait() {
  if (event_ != nullptr) event_->synchronize();
}

}  // namespace cogwheel
