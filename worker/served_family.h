#pragma once

#include <memory>

#include "worker/families/family.h"

namespace cogwheel {

// The family of models that this program serves; the place to choose where there are several.
std::unique_ptr<Family> ServedFamily();

}  // namespace cogwheel
