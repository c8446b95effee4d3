#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "worker/families/cogvideox/config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace cogwheel {

class UnigramSearch;

// The T5 tokenizer as the reference pipeline calls it (transformers T5Tokenizer): special tokens
// written in the text become their ids, everything else goes through SentencePiece's normaliser and
// is cut into a unigram model's pieces word by word. Thread-compatible.
//
// The ids are transformers 5's but for a few kinds of text. Its normaliser goes grapheme by
// grapheme, SentencePiece takes the longest key of its map: that one drops a mark behind a
// character that is replaced (full-width forms, unusual spaces) and all but the first of several
// marks, and composes nothing in a grapheme of six bytes or more (decomposed Hangul and kana) or of
// two graphemes (half-width Hangul). A token that a user added is looked for before the normaliser
// only.
class Tokenizer {
 public:
  // Reads spiece.model of a tokenizer folder, or tokenizer.json where that is missing. Throws as
  // ReadSmallFile, and std::invalid_argument when neither is there, or it is damaged or not T5's.
  static std::unique_ptr<Tokenizer> Load(const std::string& folder, const TokenizerConfig& config);
  ~Tokenizer();

  // Ids of the text, cut to max_length - 1, then </s>, then padding up to max_length.
  std::vector<int64_t> Encode(const std::string& text, int max_length) const;

  // What Encode makes of the text.
  struct Reading {
    int64_t cut_tokens = 0;
    std::string cut_text;              // from the first word that is not read to its end
    std::vector<std::string> unknown;  // words with pieces outside the vocabulary, each once
  };
  Reading Read(const std::string& text, int max_length) const;

 private:
  // With the word that it is of: text[begin, end).
  struct Token {
    int64_t id = 0;
    size_t begin = 0, end = 0;
  };
  struct SpecialToken {
    std::string text;
    int64_t id = 0;
  };
  Tokenizer();

  void LoadSpiece(const std::string& path, const TokenizerConfig& config);
  std::map<int64_t, std::string> LoadJson(const std::string& path);
  void AddSpecials(const std::map<int64_t, std::string>& added, const TokenizerConfig& config);
  std::vector<SpecialToken>::iterator Find(const std::string& text);
  void AddSpecial(const std::string& text, int64_t id);
  void AddUnnumbered(const std::string& text);
  const SpecialToken* SpecialAt(const std::string& text, size_t position) const;
  std::string Normalise(const std::string& text) const;
  void AppendIds(const std::string& segment, std::vector<int64_t>& ids) const;
  void AppendWords(const std::string& text, size_t begin, size_t end,
                   std::vector<Token>& tokens) const;
  std::vector<Token> Tokens(const std::string& text) const;  // without </s>

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;  // its normaliser
  std::unique_ptr<UnigramSearch> search_;
  std::vector<SpecialToken> special_;  // longest first, once loaded
  int64_t next_id_ = 0;                // of a special token that has none
};

}  // namespace cogwheel
