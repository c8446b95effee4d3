#include "server/job/needs.h"

#include <algorithm>
#include <string_view>

#include <absl/strings/ascii.h>
#include <absl/strings/str_cat.h>

#include "cogwheel/internal/v1/rank_control.pb.h"

namespace cogwheel {

Capabilities NeedsOf(const v1::GenerateRequest&) { return {}; }

std::string CapabilityName(int capability) {
  constexpr std::string_view kPrefix = "CAPABILITY_";
  const auto* value = internal::v1::Capability_descriptor()->FindValueByNumber(capability);
  if (value == nullptr) return absl::StrCat("capability ", capability);
  std::string name = absl::AsciiStrToLower(value->name().substr(kPrefix.size()));
  std::replace(name.begin(), name.end(), '_', ' ');
  return name;
}

}  // namespace cogwheel
