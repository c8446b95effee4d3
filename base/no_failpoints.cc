#include "base/failpoint.h"

namespace cogwheel {

void Failpoint(std::string_view /*name*/) {}

}  // namespace cogwheel
