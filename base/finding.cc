#include "base/finding.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

constexpr std::array<FindingLevel, 4> kLevels = {FindingLevel::kFact, FindingLevel::kOk,
                                                 FindingLevel::kWarning, FindingLevel::kFault};
constexpr size_t kCutBytes = 2;

}  // namespace

const char* LevelName(FindingLevel level) {
  switch (level) {
    case FindingLevel::kFact:
      return "fact";
    case FindingLevel::kOk:
      return "ok";
    case FindingLevel::kWarning:
      return "warning";
    case FindingLevel::kFault:
      break;
  }
  return "fault";
}

std::string ToJsonLine(const Finding& finding) {
  const nlohmann::json json = {{"level", LevelName(finding.level)},
                               {"check", finding.check},
                               {"what", finding.what},
                               {"way_out", finding.way_out}};
  return json.dump(-1, ' ', /*ensure_ascii=*/false, nlohmann::json::error_handler_t::replace);
}

std::optional<Finding> FindingOf(const std::string& json_line) {
  const auto json = nlohmann::json::parse(json_line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return std::nullopt;
  const auto text = [&json](const char* key) {
    const auto found = json.find(key);
    return found != json.end() && found->is_string() ? found->get<std::string>() : "";
  };
  for (const FindingLevel level : kLevels) {
    if (text("level") != LevelName(level)) continue;
    return Finding{level, text("check"), text("what"), text("way_out")};
  }
  return std::nullopt;
}

Finding FaultOf(const std::string& check, const std::string& refusal,
                const std::string& otherwise) {
  const size_t cut = refusal.find("; ");
  if (cut == std::string::npos) return {FindingLevel::kFault, check, refusal, otherwise};
  return {FindingLevel::kFault, check, refusal.substr(0, cut), refusal.substr(cut + kCutBytes)};
}

std::string BytesText(double bytes) {
  constexpr double kKib = 1024, kMib = kKib * kKib, kGib = kKib * kMib;
  std::array<char, 32> text{};
  if (bytes >= kGib) {
    std::snprintf(text.data(), text.size(), "%.1f GiB", bytes / kGib);
  } else if (bytes >= kMib) {
    std::snprintf(text.data(), text.size(), "%.1f MiB", bytes / kMib);
  } else {
    std::snprintf(text.data(), text.size(), "%.0f KiB", bytes / kKib);
  }
  return text.data();
}

}  // namespace cogwheel
