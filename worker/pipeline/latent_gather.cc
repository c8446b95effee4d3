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

}  // namespace cogwheel
