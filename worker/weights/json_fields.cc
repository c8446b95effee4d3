#include "worker/weights/json_fields.h"

#include <cmath>
#include <stdexcept>
#include <utility>

namespace cogwheel {
namespace {

// Deeper nesting is an attack on the parser, not a configuration.
constexpr int kMaxDepth = 32;

std::string Shown(const nlohmann::json& value) {
  std::string text =
      value.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::json::error_handler_t::replace);
  if (text.size() > 60) text = text.substr(0, 57) + "...";
  return text;
}

nlohmann::json ParseObject(const std::string& text, const std::string& file) {
  bool too_deep = false;
  const auto limit_depth = [&too_deep](int depth, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep = too_deep || depth > kMaxDepth;
    return !too_deep;
  };
  nlohmann::json parsed = nlohmann::json::parse(text, limit_depth, /*allow_exceptions=*/false);
  if (too_deep || parsed.is_discarded() || !parsed.is_object()) {
    throw std::invalid_argument(file + " is not a JSON object");
  }
  return parsed;
}

}  // namespace

JsonFields::JsonFields(const std::string& text, std::string file)
    : object_(ParseObject(text, file)), file_(std::move(file)) {}

JsonFields::JsonFields(nlohmann::json object, std::string file, std::string prefix)
    : object_(std::move(object)), file_(std::move(file)), prefix_(std::move(prefix)) {}

const nlohmann::json& JsonFields::At(const char* key) const {
  static const nlohmann::json kNull;
  const auto found = object_.find(key);
  return found == object_.end() ? kNull : *found;
}

void JsonFields::Refuse(const std::string& key, const nlohmann::json& value,
                        const std::string& expected) const {
  throw std::invalid_argument(file_ + ": " + PrintableName(prefix_ + key) + " is " + Shown(value) +
                              "; expected " + expected);
}

void JsonFields::Read(const char* key, int64_t& target, IntBounds bounds) const {
  const nlohmann::json& value = At(key);
  if (value.is_null()) return;
  const bool integral =
      value.is_number_integer() ||
      (value.is_number_float() && std::floor(value.get<double>()) == value.get<double>());
  const double number = integral ? value.get<double>() : 0;
  if (!integral || number < static_cast<double>(bounds.min) ||
      number > static_cast<double>(bounds.max)) {
    Refuse(
        key, value,
        "a whole number from " + std::to_string(bounds.min) + " to " + std::to_string(bounds.max));
  }
  target = static_cast<int64_t>(number);
}

void JsonFields::Read(const char* key, std::optional<int64_t>& target, IntBounds bounds) const {
  if (At(key).is_null()) return;
  int64_t value = 0;
  Read(key, value, bounds);
  target = value;
}

void JsonFields::Read(const char* key, double& target, double min, double max) const {
  const nlohmann::json& value = At(key);
  if (value.is_null()) return;
  if (!value.is_number() || !(value.get<double>() >= min && value.get<double>() <= max)) {
    Refuse(key, value, "a number from " + std::to_string(min) + " to " + std::to_string(max));
  }
  target = value.get<double>();
}

void JsonFields::Read(const char* key, std::optional<double>& target, double min,
                      double max) const {
  if (At(key).is_null()) return;
  double value = 0;
  Read(key, value, min, max);
  target = value;
}

void JsonFields::Read(const char* key, bool& target) const {
  const nlohmann::json& value = At(key);
  if (value.is_null()) return;
  if (!value.is_boolean()) Refuse(key, value, "true or false");
  target = value.get<bool>();
}

void JsonFields::Read(const char* key, std::string& target) const {
  const nlohmann::json& value = At(key);
  if (value.is_null()) return;
  if (!value.is_string()) Refuse(key, value, "a text");
  target = value.get<std::string>();
}

void JsonFields::Read(const char* key, std::optional<std::string>& target) const {
  if (At(key).is_null()) return;
  std::string value;
  Read(key, value);
  target = value;
}

JsonFields JsonFields::Object(const char* key) const {
  const nlohmann::json& value = At(key);
  if (!value.is_null() && !value.is_object()) Refuse(key, value, "an object");
  return {value.is_null() ? nlohmann::json::object() : value, file_, prefix_ + key + "."};
}

std::string PrintableName(const std::string& name) {
  constexpr size_t kMaxBytes = 120;
  std::string printable;
  for (const char c : name.substr(0, kMaxBytes)) printable += c >= ' ' && c <= '~' ? c : '?';
  return printable + (name.size() > kMaxBytes ? "..." : "");
}

}  // namespace cogwheel
