#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace cogwheel {

struct IntBounds {
  int64_t min = 1;
  int64_t max = 1 << 24;
};

// Reads keys of one JSON object with types and bounds checked. Throws std::invalid_argument naming
// file, key and value. A missing or null key leaves the target as it is.
class JsonFields {
 public:
  // `text` must be a JSON object.
  JsonFields(const std::string& text, std::string file);
  // `prefix` stands before the keys in messages: "limits.".
  JsonFields(nlohmann::json object, std::string file, std::string prefix);

  void Read(const char* key, int64_t& target, IntBounds bounds = {}) const;
  void Read(const char* key, std::optional<int64_t>& target, IntBounds bounds = {}) const;
  void Read(const char* key, double& target, double min, double max) const;
  void Read(const char* key, std::optional<double>& target, double min, double max) const;
  void Read(const char* key, bool& target) const;
  void Read(const char* key, std::string& target) const;
  void Read(const char* key, std::optional<std::string>& target) const;

  // The value of a key, or null.
  const nlohmann::json& At(const char* key) const;
  const nlohmann::json& object() const { return object_; }
  // An object under a key; empty when missing.
  JsonFields Object(const char* key) const;
  [[noreturn]] void Refuse(const std::string& key, const nlohmann::json& value,
                           const std::string& expected) const;
  const std::string& file() const { return file_; }

 private:
  nlohmann::json object_;
  std::string file_;
  std::string prefix_;
};

// A name out of an untrusted file, for messages: printable ASCII, at most 120 bytes.
std::string PrintableName(const std::string& name);

}  // namespace cogwheel
