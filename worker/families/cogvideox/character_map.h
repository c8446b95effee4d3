#pragma once

#include <string_view>

namespace cogwheel {

// Whether the bytes are a precompiled character map of SentencePiece that its normaliser can walk
// without leaving them. Layout: the trie's size in bytes (uint32, little-endian), the trie (a
// darts-clone array of uint32 units), then the replacements, each ended by a zero byte.
// SentencePiece itself does not look: a bad unit makes it read anywhere.
bool IsCharacterMap(std::string_view map);

}  // namespace cogwheel
