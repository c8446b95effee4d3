#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "worker/weights/json_fields.h"

// What config.cc, cogwheel_json.cc and tokenizer_json.cc read their files with. All throw
// std::invalid_argument.
namespace cogwheel {

// Refuses json's `key` unless `holds`; `expected` says what is legal.
void Require(bool holds, const JsonFields& json, const char* key, const std::string& expected);

// The architecture is fixed: a key that would change it is refused, not ignored. It may be missing
// or null, but must not say anything else than `only`.
void RequireOnly(const JsonFields& json, const char* key, const nlohmann::json& only);

// An array of numbers, `count` of them unless that is 0.
std::vector<double> ReadNumbers(const JsonFields& json, const std::string& key,
                                const nlohmann::json& value, size_t count);

}  // namespace cogwheel
