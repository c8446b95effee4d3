#pragma once

#include <string>

#include "cogwheel/v1/operate_service.pb.h"

namespace cogwheel {

// A line a tenant and model under one of headers, and their sum under both; "" for none. Pure.
std::string UsageTable(const v1::GetUsageResponse& usage);

}  // namespace cogwheel
