#pragma once

#include "server/api/api_parts.h"

namespace cogwheel {

// Intake::Submit for the one tenant there is without authentication, counted. CreateJob and
// Generate share it.
void Submit(const v1::GenerateRequest& request, const ApiParts& parts, Intake::Done done);

}  // namespace cogwheel
