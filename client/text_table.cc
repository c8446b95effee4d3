#include "client/text_table.h"

#include <algorithm>

#include <absl/strings/str_cat.h>
#include <absl/strings/strip.h>

#include "base/utf8.h"

namespace cogwheel {
namespace {

constexpr size_t kGap = 2, kNarrowest = 20, kUnbound = 60;

bool BeginsCharacter(char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }

size_t Characters(const std::string& text) {
  return std::count_if(text.begin(), text.end(), BeginsCharacter);
}

}  // namespace

std::string Shortened(const std::string& text, size_t columns) {
  std::string line = WithoutControls(text);
  if (Characters(line) <= columns) return line;
  size_t end = 0;
  for (size_t shown = 0; end < line.size(); ++end) {
    if (BeginsCharacter(line[end]) && ++shown > columns - 3) break;
  }
  return line.substr(0, end) + "...";
}

std::string TextTable(const std::vector<std::vector<std::string>>& rows, int columns) {
  if (rows.empty()) return "";
  std::vector<size_t> widths(rows.front().size(), 0);
  for (const std::vector<std::string>& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      widths[i] = std::max(widths[i], Characters(WithoutControls(row[i])));
    }
  }
  size_t used = 0;
  for (size_t i = 0; i + 1 < widths.size(); ++i) used += widths[i] + kGap;
  const auto wide = static_cast<size_t>(std::max(columns, 0));
  const size_t last = wide == 0 ? kUnbound : std::max(kNarrowest, wide - std::min(wide, used));
  std::string text;
  for (const std::vector<std::string>& row : rows) {
    std::string line;
    for (size_t i = 0; i + 1 < row.size(); ++i) {
      const std::string cell = WithoutControls(row[i]);
      absl::StrAppend(&line, cell, std::string(widths[i] - Characters(cell) + kGap, ' '));
    }
    absl::StrAppend(&line, Shortened(row.back(), last));
    absl::StrAppend(&text, absl::StripTrailingAsciiWhitespace(line), "\n");
  }
  return text;
}

}  // namespace cogwheel
