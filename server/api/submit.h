#pragma once

#include <string>

#include "server/api/api_parts.h"

namespace cogwheel {

// Intake::Submit, counted. CreateJob and Generate share it.
void Submit(const v1::GenerateRequest& request, const std::string& tenant, const ApiParts& parts,
            Intake::Done done);

}  // namespace cogwheel
