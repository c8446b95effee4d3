#include "worker/model/tokenizer.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <sentencepiece_processor.h>

namespace cogwheel {
namespace {

constexpr int64_t kPadId = 0;
constexpr int64_t kEosId = 1;
constexpr int64_t kUnkId = 2;

// Unicode white space in UTF-8, the characters at which the reference splits words.
constexpr std::string_view kSpaces[] = {
    "\t",           "\n",           "\v",           "\f",           "\r",           " ",
    "\xc2\x85",     "\xc2\xa0",     "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82",
    "\xe2\x80\x83", "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88",
    "\xe2\x80\x89", "\xe2\x80\x8a", "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f",
    "\xe3\x80\x80"};

// Bytes of the white space at a position; 0 when there is none.
size_t SpaceAt(std::string_view text, size_t position) {
  for (const std::string_view space : kSpaces) {
    if (text.substr(position, space.size()) == space) return space.size();
  }
  return 0;
}

}  // namespace

Tokenizer::Tokenizer() : processor_(new sentencepiece::SentencePieceProcessor) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::Load(const std::string& folder,
                                           const TokenizerConfig& config) {
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  const std::string path = folder + "/spiece.model";
  if (const auto status = tokenizer->processor_->Load(path); !status.ok()) {
    throw std::invalid_argument(path + " is missing or damaged: " + status.message());
  }
  tokenizer->AddSpecial("<pad>", kPadId);
  tokenizer->AddSpecial("</s>", kEosId);
  tokenizer->AddSpecial("<unk>", kUnkId);
  const int64_t pieces = tokenizer->processor_->GetPieceSize();
  for (int64_t k = 0; k < config.extra_ids; ++k) {
    tokenizer->AddSpecial("<extra_id_" + std::to_string(k) + ">",
                          pieces + config.extra_ids - 1 - k);
  }
  for (const auto& [id, text] : config.added_tokens) tokenizer->AddSpecial(text, id);
  std::ranges::stable_sort(tokenizer->special_, std::ranges::greater{},
                           [](const SpecialToken& token) { return token.text.size(); });
  return tokenizer;
}

void Tokenizer::AddSpecial(const std::string& text, int64_t id) {
  if (text.empty()) return;
  const auto known = std::ranges::find(special_, text, &SpecialToken::text);
  if (known != special_.end()) {
    known->id = id;
  } else {
    special_.push_back({.text = text, .id = id});
  }
}

const Tokenizer::SpecialToken* Tokenizer::SpecialAt(const std::string& text,
                                                    size_t position) const {
  for (const SpecialToken& token : special_) {
    if (text.compare(position, token.text.size(), token.text) == 0) return &token;
  }
  return nullptr;
}

void Tokenizer::AppendWords(const std::string& segment, std::vector<int64_t>& ids) const {
  size_t begin = 0;
  const auto append = [&](size_t end) {
    if (end == begin) return;
    std::vector<int> word_ids;
    const auto status = processor_->Encode(segment.substr(begin, end - begin), &word_ids);
    if (!status.ok()) throw std::runtime_error("SentencePiece: " + status.ToString());
    ids.insert(ids.end(), word_ids.begin(), word_ids.end());
  };
  for (size_t at = 0; at < segment.size();) {
    const size_t space = SpaceAt(segment, at);
    if (space > 0) append(at);
    at += space > 0 ? space : 1;
    if (space > 0) begin = at;
  }
  append(segment.size());
}

std::vector<int64_t> Tokenizer::Encode(const std::string& text, int max_length) const {
  std::vector<int64_t> ids;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const SpecialToken* token = SpecialAt(text, at);
    if (token == nullptr) {
      ++at;
      continue;
    }
    AppendWords(text.substr(begin, at - begin), ids);
    ids.push_back(token->id);
    at += token->text.size();
    begin = at;
  }
  AppendWords(text.substr(begin), ids);
  if (ids.size() > static_cast<size_t>(max_length - 1)) ids.resize(max_length - 1);
  ids.push_back(kEosId);
  ids.resize(max_length, kPadId);
  return ids;
}

}  // namespace cogwheel
