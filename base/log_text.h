#pragma once

#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/log.h"

namespace cogwheel {

// What one line of the log says to people.
struct TextLine {
  std::tm local_time{};
  LogLevel level = LogLevel::kInfo;
  std::string speaker;  // "rank 2 of 4"; empty: the program
  std::string_view message;
  std::vector<std::pair<std::string, std::string>> fields;
  bool color = false;
};

// "14:03:05 warning: rank 2 of 4: cannot run the job (jobs/01k...): height 478 is ..." with a
// newline. Pure. What only a machine searches for (trace ids, places in a library's source, the
// whole configuration) and what is empty is left out; control characters are blanks.
std::string ToText(const TextLine& line);

}  // namespace cogwheel
