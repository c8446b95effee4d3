#include "worker/families/cogvideox/character_map.h"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace cogwheel {
namespace {

constexpr size_t kUnitBytes = 4;
constexpr size_t kLabels = 256;               // branches of a node
constexpr size_t kMaxBytes = 4 << 20;         // SentencePiece's own maps have 0.3 MB
constexpr size_t kMaxReplacementBytes = 256;  // the longest of NFKC has 33

uint32_t LittleEndian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < kUnitBytes; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[at + i])) << (8 * i);
  }
  return value;
}

// The fields of a unit, as darts.h packs them.
bool HasLeaf(uint32_t unit) { return ((unit >> 8) & 1) == 1; }
uint32_t Value(uint32_t unit) { return unit & 0x7fffffffU; }
uint32_t Label(uint32_t unit) { return unit & 0x800000ffU; }
uint32_t Offset(uint32_t unit) { return (unit >> 10) << ((unit & (1U << 9)) >> 6); }

// A value is the place of a replacement: the start of a character, an end not far away.
bool IsReplacement(std::string_view replacements, size_t at) {
  if (at >= replacements.size() || (static_cast<uint8_t>(replacements[at]) & 0xc0) == 0x80) {
    return false;
  }
  const size_t end = replacements.find('\0', at);
  return end != std::string_view::npos && end - at <= kMaxReplacementBytes;
}

bool IsTrie(std::string_view trie, std::string_view replacements) {
  const size_t count = trie.size() / kUnitBytes;
  const auto unit_at = [trie](size_t index) { return LittleEndian(trie, index * kUnitBytes); };
  std::vector<bool> seen(count);
  std::vector<size_t> nodes = {Offset(unit_at(0))};
  while (!nodes.empty()) {
    const size_t node = nodes.back();
    nodes.pop_back();
    // A node's branches lie at node ^ label for any byte as the label.
    if ((node | (kLabels - 1)) >= count) return false;
    if (seen[node]) continue;
    seen[node] = true;
    for (size_t label = 0; label < kLabels; ++label) {
      const uint32_t unit = unit_at(node ^ label);
      if (Label(unit) != label) continue;
      const size_t next = node ^ label ^ Offset(unit);
      nodes.push_back(next);
      if (HasLeaf(unit) && (next >= count || !IsReplacement(replacements, Value(unit_at(next))))) {
        return false;
      }
    }
  }
  return true;
}

}  // namespace

bool IsCharacterMap(std::string_view map) {
  if (map.size() <= kUnitBytes || map.size() > kMaxBytes) return false;
  const size_t trie_bytes = LittleEndian(map, 0);
  map.remove_prefix(kUnitBytes);
  if (trie_bytes == 0 || trie_bytes % kUnitBytes != 0 || trie_bytes >= map.size()) return false;
  return IsTrie(map.substr(0, trie_bytes), map.substr(trie_bytes));
}

}  // namespace cogwheel
