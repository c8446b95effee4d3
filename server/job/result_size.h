#pragma once

#include <cstdint>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// What the result of a resolved request takes at most, in bytes: room that is set aside for it
// before it runs. A video is taken to be no larger than its frames are in YUV 4:2:0 (1.5 bytes a
// pixel); latents are 4 x 16 bytes for 8 x 8 x 4 pixels.
int64_t MostResultBytes(const v1::GenerateRequest& request);

}  // namespace cogwheel
