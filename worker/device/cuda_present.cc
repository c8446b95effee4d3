#include "worker/device/device.h"

namespace cogwheel {

bool BuiltWithCuda() { return true; }

}  // namespace cogwheel
