#pragma once

#include <cstddef>
#include <string_view>

namespace cogwheel {

// Offset of the first byte that does not belong to well-formed UTF-8 (no surrogates, no overlong
// forms, nothing above U+10FFFF); npos when all of it does.
size_t FirstBadUtf8Byte(std::string_view text);

}  // namespace cogwheel
