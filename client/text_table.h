#pragma once

#include <string>
#include <vector>

namespace cogwheel {

// Rows under each other with two blanks between columns, the first row the headers. The last column
// is cut so that no line is wider than `columns`, but to no less than 20 characters; `columns` 0:
// to 60 characters. Control characters are blanks. Pure.
std::string TextTable(const std::vector<std::vector<std::string>>& rows, int columns);

// One line of at most `columns` characters, not cut inside one.
std::string Shortened(const std::string& text, size_t columns);

}  // namespace cogwheel
