#include "worker/families/cogvideox/config_fields.h"

#include <cmath>

namespace cogwheel {

void Require(bool holds, const JsonFields& json, const char* key, const std::string& expected) {
  if (!holds) json.Refuse(key, json.At(key), expected);
}

void RequireOnly(const JsonFields& json, const char* key, const nlohmann::json& only) {
  const nlohmann::json& value = json.At(key);
  if (!value.is_null() && value != only) json.Refuse(key, value, only.dump());
}

std::vector<double> ReadNumbers(const JsonFields& json, const std::string& key,
                                const nlohmann::json& value, size_t count) {
  constexpr double kLargest = 1e6;
  std::vector<double> numbers;
  for (const nlohmann::json& item : value.is_array() ? value : nlohmann::json::array()) {
    if (item.is_number() && std::abs(item.get<double>()) <= kLargest) {
      numbers.push_back(item.get<double>());
    }
  }
  if (!value.is_array() || numbers.size() != value.size() ||
      (count != 0 && numbers.size() != count)) {
    json.Refuse(key, value,
                "an array of " + (count != 0 ? std::to_string(count) + " " : "") + "numbers");
  }
  return numbers;
}

}  // namespace cogwheel
