#include "base/help_text.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <string_view>

#include <sys/ioctl.h>
#include <unistd.h>

namespace cogwheel {
namespace {

constexpr int kIndent = 2;
constexpr int kNarrowTextIndent = 6;  // below the head
constexpr int kTextColumn = 26;       // beside the head
constexpr int kWideColumns = 72;      // from here on text stands beside its head
constexpr int kMostColumns = 100, kFewestColumns = 20;

// False at the end. What stands in quotation marks is one word: it is not to be broken.
bool NextWord(std::istringstream& in, std::string& word) {
  if (!(in >> word)) return false;
  std::string more;
  while (std::count(word.begin(), word.end(), '"') % 2 == 1 && in >> more) {
    word += ' ' + more;
  }
  return true;
}

// Appends words with line breaks; `ending` closes each line that goes on.
class Lines {
 public:
  Lines(std::string& out, int columns, std::string_view ending = "")
      : out_(out), columns_(columns), ending_(ending) {}

  // The first line begins behind `first`, all others at column `indent`; or further left where only
  // so a word fits.
  void Add(const std::string& first, int indent, const std::string& text) {
    std::string line = first;
    std::istringstream words(text);
    std::string word;
    bool empty = first.find_first_not_of(' ') == std::string::npos ||
                 static_cast<int>(first.size()) == indent;
    while (NextWord(words, word)) {
      const size_t width = Columns(line) + (empty ? 0 : 1) + Columns(word) + ending_.size();
      if (!empty && static_cast<int>(width) > columns_) {
        out_ += line + ending_ + "\n";
        line.assign(indent, ' ');
        empty = true;
      }
      if (empty && line.find_first_not_of(' ') == std::string::npos) {
        const int room = columns_ - static_cast<int>(Columns(word) + ending_.size());
        line.resize(std::clamp(room, 0, static_cast<int>(line.size())));
      }
      if (!empty) line += ' ';
      line += word;
      empty = false;
    }
    out_ += line + "\n";
  }

 private:
  // Characters of UTF-8.
  static size_t Columns(const std::string& text) {
    return std::count_if(text.begin(), text.end(),
                         [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; });
  }

  std::string& out_;
  const int columns_;
  const std::string ending_;
};

void AddEntry(std::string& out, int columns, const HelpEntry& entry) {
  Lines lines(out, columns);
  const std::string head = std::string(kIndent, ' ') + entry.head;
  if (entry.text.empty() || columns < kWideColumns) {
    lines.Add(std::string(kIndent, ' '), kIndent + 2, entry.head);
    if (!entry.text.empty()) {
      lines.Add(std::string(kNarrowTextIndent, ' '), kNarrowTextIndent, entry.text);
    }
    return;
  }
  if (static_cast<int>(head.size()) + 2 > kTextColumn) {
    out += head + "\n";
    lines.Add(std::string(kTextColumn, ' '), kTextColumn, entry.text);
  } else {
    lines.Add(head + std::string(kTextColumn - head.size(), ' '), kTextColumn, entry.text);
  }
}

}  // namespace

HelpSection& SectionOf(HelpPage& page, const std::string& title) {
  for (HelpSection& section : page.sections) {
    if (section.title == title) return section;
  }
  page.sections.push_back({.title = title});
  return page.sections.back();
}

std::string LayOut(const HelpPage& page, int columns) {
  std::string out;
  Lines lines(out, columns);
  lines.Add("Usage: ", 7, page.usage);
  for (const std::string& paragraph : page.paragraphs) {
    out += "\n";
    lines.Add("", 0, paragraph);
  }
  for (const HelpSection& section : page.sections) {
    out += "\n";
    lines.Add("", 0, section.title + ":");
    for (const HelpEntry& entry : section.entries) AddEntry(out, columns, entry);
    for (const std::string& command : section.commands) {
      Lines(out, columns, " \\").Add(std::string(kIndent, ' '), kIndent + 2, command);
    }
  }
  return out;
}

int HelpColumns() {
  int columns = 0;
  if (const char* text = std::getenv("COLUMNS"); text != nullptr) {
    std::from_chars(text, text + std::strlen(text), columns);
  }
  winsize size = {};
  if (columns <= 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) columns = size.ws_col;
  return columns <= 0 ? 80 : std::clamp(columns, kFewestColumns, kMostColumns);
}

}  // namespace cogwheel
