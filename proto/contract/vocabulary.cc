#include "proto/contract/vocabulary.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/utf8.h"

namespace cogwheel {
namespace {

constexpr size_t kShownWords = 8, kShownWordBytes = 30;

struct CharacterRange {
  char32_t first, last;
};

// Beyond ASCII: what parts words. Spaces, punctuation, and what is not seen, above all marks that
// turn the direction of writing.
constexpr std::array kSeparators = {
    CharacterRange{0x80, 0xA9},     CharacterRange{0xAB, 0xB4},
    CharacterRange{0xB6, 0xB9},     CharacterRange{0xBB, 0xBF},
    CharacterRange{0xD7, 0xD7},     CharacterRange{0xF7, 0xF7},
    CharacterRange{0x37E, 0x37E},   CharacterRange{0x60C, 0x60C},
    CharacterRange{0x61B, 0x61C},   CharacterRange{0x61F, 0x61F},
    CharacterRange{0x964, 0x965},   CharacterRange{0x1680, 0x1680},
    CharacterRange{0x2000, 0x206F}, CharacterRange{0x3000, 0x3003},
    CharacterRange{0x3008, 0x3011}, CharacterRange{0x3014, 0x301F},
    CharacterRange{0xFE00, 0xFE0F}, CharacterRange{0xFEFF, 0xFEFF},
    CharacterRange{0xFF01, 0xFF0F}, CharacterRange{0xFF1A, 0xFF20},
    CharacterRange{0xFF3B, 0xFF40}, CharacterRange{0xFF5B, 0xFF65},
    CharacterRange{0xFFF0, 0xFFFD}, CharacterRange{0xE0000, 0xE0FFF},
};

// Capitals whose small letters all lie as far behind them.
struct Capitals {
  char32_t first, last, distance;
};
constexpr std::array kCapitals = {
    Capitals{'A', 'Z', 0x20},     Capitals{0xC0, 0xD6, 0x20},   Capitals{0xD8, 0xDE, 0x20},
    Capitals{0x386, 0x386, 0x26}, Capitals{0x388, 0x38A, 0x25}, Capitals{0x391, 0x3AB, 0x20},
    Capitals{0x400, 0x40F, 0x50}, Capitals{0x410, 0x42F, 0x20},
};

constexpr char32_t kTypographicApostrophe = 0x2019;

// The character at the front of UTF-8, and its bytes. A byte that begins none is one that parts
// words.
struct Character {
  char32_t code = 0;
  size_t bytes = 1;
};
Character FirstOf(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const size_t bytes = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || text.size() < bytes) return {};
  char32_t code = lead & (0x7F >> bytes);
  for (size_t i = 1; i < bytes; ++i) code = code << 6 | (byte(i) & 0x3F);
  return {code, bytes};
}

void Append(char32_t code, std::string& text) {
  const auto tail = [code](int shift) { return static_cast<char>(0x80 | (code >> shift & 0x3F)); };
  if (code < 0x80) {
    text += static_cast<char>(code);
  } else if (code < 0x800) {
    text += {static_cast<char>(0xC0 | code >> 6), tail(0)};
  } else if (code < 0x10000) {
    text += {static_cast<char>(0xE0 | code >> 12), tail(6), tail(0)};
  } else {
    text += {static_cast<char>(0xF0 | code >> 18), tail(12), tail(6), tail(0)};
  }
}

bool IsLetter(char32_t code) {
  if (code < 0x80) {
    return (code >= 'a' && code <= 'z') || (code >= 'A' && code <= 'Z') ||
           (code >= '0' && code <= '9');
  }
  return std::ranges::none_of(kSeparators, [code](const CharacterRange& range) {
    return code >= range.first && code <= range.last;
  });
}

bool EndsSentence(char32_t code) {
  return code == '.' || code == '!' || code == '?' || code == 0x2026 || code == 0x3002;
}

bool IsApostrophe(char32_t code) { return code == '\'' || code == kTypographicApostrophe; }

char32_t Small(char32_t code) {
  for (const Capitals& capitals : kCapitals) {
    if (code >= capitals.first && code <= capitals.last) return code + capitals.distance;
  }
  return code;
}

}  // namespace

bool IsPlainLine(std::string_view text, size_t max_bytes) {
  return !text.empty() && text.size() <= max_bytes && !HasControlCharacter(text);
}

std::string InSmallLetters(std::string_view text) {
  std::string small;
  while (!text.empty()) {
    const Character character = FirstOf(text);
    Append(Small(character.code), small);
    text.remove_prefix(character.bytes);
  }
  return small;
}

std::vector<std::string> WordsOf(std::string_view text) {
  std::vector<std::string> words;
  bool first = true;  // of a sentence
  bool inside = false, apostrophe = false;
  while (!text.empty()) {
    const Character character = FirstOf(text);
    text.remove_prefix(character.bytes);
    if (!IsLetter(character.code)) {
      const bool joins = inside && !apostrophe && IsApostrophe(character.code);
      inside = apostrophe = joins;  // if a letter follows
      first = first || EndsSentence(character.code);
      continue;
    }
    if (!inside) words.emplace_back();
    if (apostrophe) words.back() += '\'';
    Append(first ? Small(character.code) : character.code, words.back());
    inside = true;
    first = false;
    apostrophe = false;
  }
  return words;
}

bool IsVocabularyWord(std::string_view word) {
  return word.size() <= kMaxWordBytes && !word.empty() && NearestVocabularyWord(word) == word;
}

std::string NearestVocabularyWord(std::string_view text) {
  const std::vector<std::string> words = WordsOf(InSmallLetters(text));
  return words.empty() || words.front().size() > kMaxWordBytes ? "" : words.front();
}

std::vector<std::string> Vocabulary::Lacks(std::string_view text) const {
  std::vector<std::string> lacking;
  if (open()) return lacking;
  std::unordered_set<std::string> seen;
  for (std::string& word : WordsOf(text)) {
    if (Has(word) || !seen.insert(word).second) continue;
    lacking.push_back(std::move(word));
  }
  return lacking;
}

std::string ShortList(const std::vector<std::string>& words) {
  const size_t shown = std::min(words.size(), kShownWords);
  std::string list;
  for (size_t i = 0; i < shown; ++i) {
    const std::string_view word = ClipUtf8(words[i], kShownWordBytes);
    list.append(i == 0 ? "" : ", ").append(word).append(word.size() < words[i].size() ? "…" : "");
  }
  if (shown < words.size()) list += " and " + std::to_string(words.size() - shown) + " more";
  return list;
}

}  // namespace cogwheel
