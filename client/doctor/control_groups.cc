#include "client/doctor/control_groups.h"

#include <algorithm>

#include <absl/strings/ascii.h>
#include <absl/strings/numbers.h>

#include "base/control_groups.h"

namespace cogwheel {
namespace {

// Version 1 writes a number near 2^63 for no limit.
constexpr int64_t kNoLimit = int64_t{1} << 60;

void TakeLeast(std::optional<int64_t>& least, std::optional<int64_t> value) {
  if (value.has_value()) least = std::min(least.value_or(*value), *value);
}

}  // namespace

std::optional<int64_t> LimitIn(const std::string& file) {
  int64_t value = 0;
  const bool number = absl::SimpleAtoi(absl::StripAsciiWhitespace(FileText(file)), &value);
  if (!number || value < 0 || value >= kNoLimit) return std::nullopt;
  return value;
}

std::optional<int64_t> LeastOfGroups(
    const std::string& root, const std::string& controller,
    const std::function<std::optional<int64_t>(const std::string& folder)>& limit) {
  std::optional<int64_t> least;
  for (const std::string& folder : ControlGroupFolders(controller, root)) {
    TakeLeast(least, limit(folder));
  }
  return least;
}

}  // namespace cogwheel
