#include "worker/served_family.h"

#include "worker/families/cogvideox/cogvideox_family.h"

namespace cogwheel {

std::unique_ptr<Family> ServedFamily() { return CogVideoXFamily(); }

}  // namespace cogwheel
