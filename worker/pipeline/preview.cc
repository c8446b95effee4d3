#include "worker/pipeline/preview.h"

#include <vector>

#include <ATen/ATen.h>

#include "worker/sequence/tensor_bytes.h"

namespace cogwheel {
namespace {

constexpr int64_t kColours = 3;

// Video rows of the clip's middle patched frame.
Range MiddleFrameRows(const LatentLayout& layout) {
  const int64_t rows_per_frame = DivExact(layout.row_count(), layout.frames / layout.patch_size_t);
  const int64_t begin = layout.frames / 2 / layout.patch_size_t * rows_per_frame;
  return {.begin = begin, .end = begin + rows_per_frame};
}

// [1, rows, C·pt·p·p] fp32 → [1, rows, 3·pt·p·p]: the map on every latent pixel.
at::Tensor Project(const PreviewMap& map, const LatentLayout& layout, const at::Tensor& clean) {
  const int64_t pixel_count = layout.row_features() / layout.channels;
  const at::Tensor pixels = clean.reshape({clean.size(1), layout.channels, pixel_count});
  return (at::matmul(map.matrix, pixels) + map.bias.view({kColours, 1}))
      .reshape({1, clean.size(1), kColours * pixel_count})
      .contiguous();
}

}  // namespace

void SendPreview(const PreviewRound& round, const at::Tensor& clean, Communicator& world,
                 FrameSink& sink) {
  const LatentLayout& layout = round.layout;
  const Range frame = MiddleFrameRows(layout);
  const auto rows_of = [&](int world_rank) {
    return Intersect(frame, round.geometry.given_video_rows_of(world_rank));
  };
  const Range mine = rows_of(world.rank());
  const int64_t first_row = round.geometry.video_rows().begin;
  const at::Tensor colours =
      Project(round.map, layout,
              clean.narrow(1, mine.empty() ? 0 : mine.begin - first_row, mine.size()).to(at::kCPU));

  const int64_t features = kColours * layout.row_features() / layout.channels;
  const bool root = world.rank() == 0;
  const at::Tensor all = at::empty({1, root ? frame.size() : 0, features}, colours.options());
  std::vector<std::span<std::byte>> parts;
  for (int rank = 0; root && rank < world.size(); ++rank) {
    const Range rows = rows_of(rank);
    parts.push_back(
        TensorBytes(all.narrow(1, rows.empty() ? 0 : rows.begin - frame.begin, rows.size())));
  }
  Gather(world, /*root=*/0, TensorBytes(colours), parts, nullptr);
  if (!root) return;

  const at::Tensor rgb =  // [pt, 3, h, w] → the middle frame, [h, w, 3]
      Unpatchify(all, layout.patch_size_t, layout.height, layout.width, layout.patch_size_t,
                 layout.patch_size)[0][layout.frames / 2 % layout.patch_size_t]
          .permute({1, 2, 0});
  // What is not finite has no byte; the job will end for it.
  const at::Tensor bytes = at::round(at::clamp(at::nan_to_num(rgb), 0, 1) * 255)
                               .to(at::kByte)
                               .repeat_interleave(round.map.pixels_per_latent, 0)
                               .repeat_interleave(round.map.pixels_per_latent, 1)
                               .contiguous();
  sink.OnPreview({bytes.const_data_ptr<uint8_t>(), static_cast<size_t>(bytes.numel())},
                 static_cast<int>(bytes.size(0)), static_cast<int>(bytes.size(1)), round.step,
                 round.steps);
}

}  // namespace cogwheel
