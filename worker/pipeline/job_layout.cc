#include "worker/pipeline/job_layout.h"

#include <vector>

#include <ATen/ATen.h>

#include "worker/device/device.h"
#include "worker/families/cogvideox/transformer.h"
#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {

at::Tensor GatherLatents(const JobLayout& layout, const at::Tensor& rows, Communicator& world) {
  const LatentShape& shape = layout.latents;
  const at::Tensor all = at::empty({1, shape.row_count(), shape.row_features()}, rows.options());
  std::vector<std::span<std::byte>> parts;
  for (int rank = 0; rank < world.size(); ++rank) {
    const bool sends = layout.mesh.At(rank).cfg == 0;
    const Range range = sends ? layout.VideoRows(rank) : Range{};
    parts.push_back(TensorBytes(all.narrow(1, range.begin, range.size())));
  }
  const at::Tensor mine = rows.contiguous();
  const bool sends = layout.mesh.At(world.rank()).cfg == 0;
  AllGather(world, TensorBytes(sends ? mine : mine.narrow(1, 0, 0)), parts, StreamOf(all));
  return Unpatchify(all, shape.frames, shape.height, shape.width, shape.patch_size_t,
                    shape.patch_size);
}

}  // namespace cogwheel
