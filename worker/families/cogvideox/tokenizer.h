#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "worker/families/cogvideox/config.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace cogwheel {

// The T5 tokenizer as the reference pipeline calls it (transformers T5Tokenizer): special tokens
// written in the text become their ids, everything else goes through SentencePiece's unigram model
// with its normaliser, word by word. The ids differ from transformers 5's only where a combining
// mark follows a character that the normaliser replaces (full-width forms, unusual spaces): that
// tokenizer drops the mark. Thread-compatible.
class Tokenizer {
 public:
  // Reads spiece.model of a tokenizer folder. Throws as ReadSmallFile, and std::invalid_argument
  // when it is damaged.
  static std::unique_ptr<Tokenizer> Load(const std::string& folder, const TokenizerConfig& config);
  ~Tokenizer();

  // Ids of the text, cut to max_length - 1, then </s>, then padding up to max_length.
  std::vector<int64_t> Encode(const std::string& text, int max_length) const;

 private:
  struct SpecialToken {
    std::string text;
    int64_t id = 0;
  };
  Tokenizer();

  std::vector<SpecialToken>::iterator Find(const std::string& text);
  void AddSpecial(const std::string& text, int64_t id);
  const SpecialToken* SpecialAt(const std::string& text, size_t position) const;
  void AppendWords(const std::string& segment, std::vector<int64_t>& ids) const;

  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  std::vector<SpecialToken> special_;  // longest first
};

}  // namespace cogwheel
