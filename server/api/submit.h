#pragma once

#include "server/api/api_parts.h"
#include "server/api/rpc_call.h"

namespace cogwheel {

// Intake::Submit for the caller's tenant, counted and logged. CreateJob and Generate share it.
void Submit(const v1::GenerateRequest& request, const RpcCall& call, const ApiParts& parts,
            Intake::Done done);

}  // namespace cogwheel
