#pragma once

#include <string>

#include "worker/weights/component_files.h"

namespace cogwheel {

// The weights of a checkpoint's "transformer", "vae" or "text_encoder".
ComponentFolder ComponentOf(const std::string& model_dir, const std::string& component,
                            const std::string& variant = "");

// As the reference: components without files of the variant use their plain ones, but one must
// have such files. Throws std::invalid_argument naming the variants that there are.
void CheckVariant(const std::string& model_dir, const std::string& variant);

}  // namespace cogwheel
