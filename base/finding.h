#pragma once

#include <optional>
#include <string>
#include <vector>

// What `cogwheel doctor` finds out. The client looks at the machine; the worker, which alone knows
// torch and checkpoints, tells what it finds as lines on stdout.
namespace cogwheel {

enum class FindingLevel {
  kFact,     // what a bug report should hold: no judgement
  kOk,       // looked at, and good
  kWarning,  // works, but worse than it could
  kFault,    // stops the checkpoint on this machine
};

struct Finding {
  FindingLevel level = FindingLevel::kOk;
  std::string check;    // "checkpoint"; of a fact its name
  std::string what;     // the thing and its value, one line
  std::string way_out;  // of a warning or a fault: what to do
};

using Findings = std::vector<Finding>;

// "fact", "ok", "warning", "fault"
const char* LevelName(FindingLevel level);

// One JSON object without a newline; bytes that are no UTF-8 are replaced.
std::string ToJsonLine(const Finding& finding);
// Nothing for a line that ToJsonLine did not make.
std::optional<Finding> FindingOf(const std::string& json_line);

// A refusal in our programs' own words, "the thing; the way out", cut into the two. `otherwise`:
// the way out of one that names none.
Finding FaultOf(const std::string& check, const std::string& refusal, const std::string& otherwise);

// "3.0 GiB", "512.0 MiB", "64 KiB"
std::string BytesText(double bytes);

}  // namespace cogwheel
