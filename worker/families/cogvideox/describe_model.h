#pragma once

#include "worker/families/family.h"

namespace cogwheel {

// Family::Describe of CogVideoX.
ModelDescription DescribeCogVideoX(const ModelSource& source);

}  // namespace cogwheel
