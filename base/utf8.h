#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace cogwheel {

// Offset of the first byte that does not belong to well-formed UTF-8 (no surrogates, no overlong
// forms, nothing above U+10FFFF); npos when all of it does.
size_t FirstBadUtf8Byte(std::string_view text);

// Of UTF-8: U+0000 to U+001F and U+007F to U+009F, which no terminal shows.
bool HasControlCharacter(std::string_view text);

// One line that does nothing to a terminal: a space in place of each of these.
std::string WithoutControls(std::string_view text);

// The first bytes of UTF-8, at most `limit`, not ending inside a character.
std::string_view ClipUtf8(std::string_view text, size_t limit);

}  // namespace cogwheel
