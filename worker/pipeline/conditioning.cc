#include "worker/pipeline/conditioning.h"

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {

at::Tensor ShareText(const TextRequest& request, Communicator& world) {
  const JobSpec& spec = request.spec;
  const int64_t tokens = request.geometry.text_count();
  at::Tensor all = at::empty({spec.guided() ? 2 : 1, tokens, request.text_width},
                             at::TensorOptions(request.dtype));
  if (world.rank() == 0) {
    TORCH_CHECK(request.encoder != nullptr, "world rank 0 has no text encoder");
    const at::Tensor positive = request.encoder->Encode(spec.prompt, tokens);
    all = (spec.guided()
               ? at::cat({request.encoder->Encode(spec.negative_prompt, tokens), positive}, 0)
               : positive.contiguous())
              .to(at::kCPU);
  }
  Broadcast(world, /*root=*/0, TensorBytes(all), StreamOf(all));
  const Range rows = request.geometry.text_rows();
  return all.narrow(0, request.geometry.branch(), request.geometry.branch_count(spec.guided()))
      .narrow(1, rows.begin, rows.size())
      .clone()
      .to(request.device);
}

}  // namespace cogwheel
