#include "worker/device/device.h"

namespace cogwheel {

bool BuiltWithCuda() { return false; }

}  // namespace cogwheel
