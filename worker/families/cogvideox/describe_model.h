#pragma once

#include <string>

#include "worker/families/model_description.h"

namespace cogwheel {

// Family::Describe of CogVideoX.
ModelDescription DescribeCogVideoX(const std::string& model_dir, const std::string& model_name,
                                   bool random_weights);

}  // namespace cogwheel
