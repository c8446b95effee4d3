#pragma once

#include <memory>

#include "worker/families/family.h"

namespace cogwheel {

// CogVideoX, 1.0 and 1.5, text and image to video: diffusers' CogVideoXPipeline and
// CogVideoXImageToVideoPipeline.
std::unique_ptr<Family> CogVideoXFamily();

}  // namespace cogwheel
