#pragma once

#include <string>

#include "base/finding.h"

// What doctor prints. Pure; every text ends with a newline.
namespace cogwheel {

// The facts as `name: value`, then a line for each check: its level, its name, what was found and,
// behind a semicolon, the way out.
std::string ReportText(const Findings& findings);

// {"facts":{NAME:VALUE...},"findings":[{"level","check","what","way_out"}...]} on one line.
std::string ReportJson(const Findings& findings);

// The one line for standard error: which checks found faults; "" when none did.
std::string FaultSummary(const Findings& findings);

}  // namespace cogwheel
