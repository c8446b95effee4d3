#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

namespace cogwheel {

// FNV-1a over what is added, in its order: the same number on ranks that add the same, without
// talking. Not against an adversary.
class Fnv {
 public:
  template <typename Number>
  void AddNumber(Number value) {
    static_assert(std::is_arithmetic_v<Number>, "no padding");
    Add(&value, sizeof(value));
  }
  void AddText(std::string_view text) {
    AddNumber(text.size());
    Add(text.data(), text.size());
  }
  uint64_t hash() const { return hash_; }

 private:
  void Add(const void* data, size_t size) {
    const auto* bytes = static_cast<const unsigned char*>(data);
    for (size_t i = 0; i < size; ++i) hash_ = (hash_ ^ bytes[i]) * 0x100000001b3;
  }

  uint64_t hash_ = 0xcbf29ce484222325;
};

}  // namespace cogwheel
