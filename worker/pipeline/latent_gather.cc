#include "worker/pipeline/latent_gather.h"

#include <span>
#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {

at::Tensor GatherLatents(const Geometry& geometry, const LatentLayout& layout,
                         const at::Tensor& rows, Communicator& world) {
  const at::Tensor all = at::empty({1, layout.row_count(), layout.row_features()}, rows.options());
  std::vector<std::span<std::byte>> parts;
  for (int rank = 0; rank < world.size(); ++rank) {
    const Range given = geometry.given_video_rows_of(rank);
    parts.push_back(TensorBytes(all.narrow(1, given.begin, given.size())));
  }
  const at::Tensor mine = rows.contiguous();
  const Range given = geometry.given_video_rows_of(world.rank());
  AllGather(world, TensorBytes(mine.narrow(1, 0, given.size())), parts, StreamOf(all));
  return Unpatchify(all, layout);
}

void HandLatents(const at::Tensor& latents, FrameSink& sink) {
  const at::Tensor values = latents[0].to(at::kCPU, at::kFloat).contiguous();
  sink.OnLatents({values.const_data_ptr<float>(), static_cast<size_t>(values.numel())},
                 static_cast<int>(values.size(0)), static_cast<int>(values.size(1)),
                 static_cast<int>(values.size(2)), static_cast<int>(values.size(3)));
}

}  // namespace cogwheel
