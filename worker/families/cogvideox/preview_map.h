#pragma once

#include <cstdint>
#include <optional>

#include "worker/families/cogvideox/config.h"
#include "worker/families/model.h"

namespace cogwheel {

// The map of cogwheel.json's "preview", or a neutral one where it has none: the first three latent
// channels stand for red, green and blue (0.5 + 0.2 z), so shapes and motion show, but no true
// colours.
PreviewMap MakePreviewMap(const std::optional<CogwheelJson::Preview>& preview, int64_t channels);

}  // namespace cogwheel
