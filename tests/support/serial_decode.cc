#include "tests/support/serial_decode.h"

#include <vector>

#include <ATen/ATen.h>

namespace cogwheel {

at::Tensor DecodeSerially(const Codec& codec, const at::Tensor& latents) {
  CarryTable carry;
  std::vector<at::Tensor> parts;
  int64_t begin = 0;
  for (const int64_t frames : codec.DecodeChunks(latents.size(2))) {
    parts.push_back(codec.DecodeChunk(latents.narrow(2, begin, frames), carry));
    begin += frames;
  }
  return at::cat(parts, 2);
}

at::Tensor DecodeTilesSerially(const Codec& codec, const at::Tensor& latents) {
  return RunTiled(latents, codec.DecodePlan(),
                  [&](const at::Tensor& tile) { return DecodeSerially(codec, tile); });
}

}  // namespace cogwheel
