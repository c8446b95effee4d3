#pragma once

#include <chrono>
#include <string>

#include "server/groups/group_board.h"
#include "server/schedule/admission.h"

namespace cogwheel {

// What /statusz shows, as JSON: the build, whether a job submitted now would start and if not why,
// the queue against its limits, and every group with its ranks.
std::string StatusPage(const std::string& reason, std::chrono::seconds uptime,
                       const AdmissionLedger& ledger, const GroupBoard& board);

}  // namespace cogwheel
