#include "worker/families/cogvideox/tokenizer.h"

#include <algorithm>
#include <stdexcept>
#include <string_view>

#include <sentencepiece_processor.h>

#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

constexpr int64_t kPadId = 0;
constexpr int64_t kEosId = 1;
constexpr int64_t kUnkId = 2;

// The reference splits words at Unicode white space after the model's normaliser. The normaliser
// makes all of it plain spaces, at which SentencePiece splits by itself, but for U+0085.
constexpr std::string_view kNextLine = "\xc2\x85";

}  // namespace

Tokenizer::Tokenizer() : processor_(new sentencepiece::SentencePieceProcessor) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::Load(const std::string& folder,
                                           const TokenizerConfig& config) {
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  const std::string path = folder + "/spiece.model";
  // Not by the processor's own reading: it takes a disk that fails for a damaged file.
  const auto status = tokenizer->processor_->LoadFromSerializedProto(ReadSmallFile(path));
  if (!status.ok()) throw std::invalid_argument(path + " is damaged: " + status.message());
  tokenizer->AddSpecial("<pad>", kPadId);
  tokenizer->AddSpecial("</s>", kEosId);
  tokenizer->AddSpecial("<unk>", kUnkId);
  const int64_t pieces = tokenizer->processor_->GetPieceSize();
  for (int64_t k = 0; k < config.extra_ids; ++k) {
    tokenizer->AddSpecial("<extra_id_" + std::to_string(k) + ">",
                          pieces + config.extra_ids - 1 - k);
  }
  int64_t next_id = pieces + config.extra_ids;
  for (const auto& [id, text] : config.added_tokens) {
    tokenizer->AddSpecial(text, id);
    next_id = std::max(next_id, id + 1);
  }
  for (const std::string& text : config.additional_special_tokens) {
    if (tokenizer->Find(text) != tokenizer->special_.end()) continue;
    const int piece = tokenizer->processor_->PieceToId(text);
    tokenizer->AddSpecial(text, tokenizer->processor_->IsUnknown(piece) ? next_id++ : piece);
  }
  std::ranges::stable_sort(tokenizer->special_, std::ranges::greater{},
                           [](const SpecialToken& token) { return token.text.size(); });
  return tokenizer;
}

std::vector<Tokenizer::SpecialToken>::iterator Tokenizer::Find(const std::string& text) {
  return std::ranges::find(special_, text, &SpecialToken::text);
}

void Tokenizer::AddSpecial(const std::string& text, int64_t id) {
  if (text.empty()) return;
  const auto known = Find(text);
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
  for (size_t begin = 0; begin < segment.size();) {
    const size_t end = std::min(segment.find(kNextLine, begin), segment.size());
    std::vector<int> line_ids;
    const auto status = processor_->Encode(segment.substr(begin, end - begin), &line_ids);
    if (!status.ok()) throw std::runtime_error("SentencePiece: " + status.ToString());
    ids.insert(ids.end(), line_ids.begin(), line_ids.end());
    begin = end + kNextLine.size();
  }
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
