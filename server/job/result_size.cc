#include "server/job/result_size.h"

namespace cogwheel {

int64_t MostResultBytes(const v1::GenerateRequest& request) {
  constexpr int64_t kHeaders = 64 * 1024, kFrameHeader = 1024;
  constexpr int kLatentFrames = 4;  // frames of a latent frame, but for the first
  const int64_t area = int64_t{request.height()} * request.width();
  const int64_t frames = request.frames();
  switch (request.output_type()) {
    case v1::OUTPUT_TYPE_FRAMES:
      return kHeaders + 3 * frames * area;
    case v1::OUTPUT_TYPE_LATENT:
      return kHeaders + (frames + kLatentFrames - 1) / kLatentFrames * area;
    default:
      return kHeaders + frames * (kFrameHeader + area * 3 / 2);
  }
}

}  // namespace cogwheel
