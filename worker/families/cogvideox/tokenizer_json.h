#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "worker/families/cogvideox/unigram_model.h"

namespace cogwheel {

// tokenizer/tokenizer.json, which the tokenizers library writes; transformers 5 saves it instead
// of spiece.model. Taken is what T5's tokenizer is made of: a Unigram vocabulary that starts with
// <pad>, </s> and <unk>, at most one character map, words split at white space with a ▁ before
// each.
struct TokenizerJson {
  UnigramModel model;
  std::map<int64_t, std::string> added_tokens;  // id -> text
};

// The text is not trusted. Throws std::invalid_argument naming file, key, value and what is taken.
// `file` is for messages.
TokenizerJson ParseTokenizerJson(const std::string& text, const std::string& file);

}  // namespace cogwheel
