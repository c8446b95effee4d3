#include "client/doctor/report.h"

#include <algorithm>
#include <vector>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_format.h>
#include <absl/strings/str_join.h>
#include <nlohmann/json.hpp>

#include "base/utf8.h"

namespace cogwheel {
// What people read one line at a time must be one: names of files may hold anything.
std::string ReportText(const Findings& findings) {
  std::string facts, checks;
  for (const Finding& finding : findings) {
    if (finding.level == FindingLevel::kFact) {
      absl::StrAppend(&facts, finding.check, ": ", WithoutControls(finding.what), "\n");
    } else {
      absl::StrAppendFormat(&checks, "%-8s%s: %s%s%s\n", LevelName(finding.level), finding.check,
                            WithoutControls(finding.what), finding.way_out.empty() ? "" : "; ",
                            WithoutControls(finding.way_out));
    }
  }
  return facts + checks;
}

std::string ReportJson(const Findings& findings) {
  nlohmann::ordered_json facts = nlohmann::ordered_json::object();
  nlohmann::ordered_json checks = nlohmann::ordered_json::array();
  for (const Finding& finding : findings) {
    if (finding.level == FindingLevel::kFact) {
      facts[finding.check] = finding.what;
    } else {
      checks.push_back({{"level", LevelName(finding.level)},
                        {"check", finding.check},
                        {"what", finding.what},
                        {"way_out", finding.way_out}});
    }
  }
  const nlohmann::ordered_json document = {{"facts", facts}, {"findings", checks}};
  return document.dump(-1, ' ', /*ensure_ascii=*/false,
                       nlohmann::ordered_json::error_handler_t::replace) +
         "\n";
}

std::string FaultSummary(const Findings& findings) {
  std::vector<std::string> checks;
  for (const Finding& finding : findings) {
    if (finding.level != FindingLevel::kFault) continue;
    if (std::ranges::count(checks, finding.check) == 0) checks.push_back(finding.check);
  }
  if (checks.empty()) return "";
  return absl::StrCat("doctor found faults in: ", absl::StrJoin(checks, ", "),
                      "; the way out stands on each line");
}

}  // namespace cogwheel
