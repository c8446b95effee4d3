#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

// What a model may say of itself, and how the words of a prompt are compared with those that it
// knows. Pure.
namespace cogwheel {

inline constexpr size_t kMaxDescriptionBytes = 512;
inline constexpr size_t kMaxSamplePrompts = 16, kMaxSamplePromptBytes = 512;
inline constexpr size_t kMaxVocabularyWords = 4096, kMaxWordBytes = 64;

// 1 to `max_bytes` bytes without control characters.
bool IsPlainLine(std::string_view text, size_t max_bytes);

// The words of UTF-8, in order. A word is a run of letters, digits and whatever else beyond ASCII
// is neither space nor punctuation; an apostrophe inside belongs to it, a hyphen parts two words.
// The capital that begins a sentence is made small. Others stay: "RED" and "Red" reach a model as
// other tokens than "red".
std::vector<std::string> WordsOf(std::string_view text);

std::string InSmallLetters(std::string_view text);

// One word, all of it in small letters, of at most kMaxWordBytes.
bool IsVocabularyWord(std::string_view word);
// The first word of `text` in small letters, or "": what may have been meant by it.
std::string NearestVocabularyWord(std::string_view text);

// The words that a model knows. A plural or another form of a word is a word of its own.
class Vocabulary {
 public:
  Vocabulary() = default;
  template <typename Words>
  explicit Vocabulary(const Words& words) : words_(words.begin(), words.end()) {}

  // Of a model that says nothing of its words.
  bool open() const { return words_.empty(); }
  bool Has(const std::string& word) const { return words_.contains(word); }
  // The words of `text` that are not in it, each once. None if it is open.
  std::vector<std::string> Lacks(std::string_view text) const;

 private:
  std::unordered_set<std::string> words_;
};

// "cat, riding, horse and 5 more": at most 8 words, none longer than 30 bytes.
std::string ShortList(const std::vector<std::string>& words);

}  // namespace cogwheel
