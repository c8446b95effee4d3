#pragma once

#include <string>
#include <vector>

// Pages of help, laid out for a terminal's width. Lines are broken between words only.
namespace cogwheel {

struct HelpEntry {
  std::string head;  // "-o, --output FILE"
  std::string text;  // whole sentences
};

struct HelpSection {
  std::string title;  // without the colon
  std::vector<HelpEntry> entries;
  std::vector<std::string> commands;  // to copy: a broken line ends with a backslash
};

struct HelpPage {
  std::string usage;  // "cogwheel-server [FLAGS]"
  std::vector<std::string> paragraphs;
  std::vector<HelpSection> sections;
};

// The section of this title; a new one at the end where there is none.
HelpSection& SectionOf(HelpPage& page, const std::string& title);

// Ends with one newline. Lines have at most `columns` characters, but for words that are longer.
std::string LayOut(const HelpPage& page, int columns);

// $COLUMNS, else what standard output's terminal says, else 80; at most 100.
int HelpColumns();

}  // namespace cogwheel
