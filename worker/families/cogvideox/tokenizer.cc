#include "worker/families/cogvideox/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <sentencepiece_processor.h>

#include "worker/families/cogvideox/tokenizer_json.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

constexpr int64_t kPadId = 0;
constexpr int64_t kEosId = 1;
constexpr int64_t kUnkId = 2;

// What has White_Space in Unicode, less the plain space.
constexpr std::array<std::string_view, 24> kWhiteSpace = {
    "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007",
    "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

constexpr std::string_view kSpaceMark = "\u2581";

std::string Sentinel(int64_t number) { return "<extra_id_" + std::to_string(number) + ">"; }

}  // namespace

Tokenizer::Tokenizer() : processor_(new sentencepiece::SentencePieceProcessor) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::Load(const std::string& folder,
                                           const TokenizerConfig& config) {
  std::unique_ptr<Tokenizer> tokenizer(new Tokenizer);
  std::map<int64_t, std::string> added;
  if (std::filesystem::exists(folder + "/spiece.model")) {
    tokenizer->LoadSpiece(folder + "/spiece.model", config);
  } else if (std::filesystem::exists(folder + "/tokenizer.json")) {
    added = tokenizer->LoadJson(folder + "/tokenizer.json");
  } else {
    throw std::invalid_argument(folder + "/spiece.model is missing, and so is tokenizer.json");
  }
  tokenizer->FindSeparators();
  tokenizer->AddSpecials(config.added_tokens.empty() ? added : config.added_tokens, config);
  return tokenizer;
}

// The model itself tells what its normaliser leaves of a character.
void Tokenizer::FindSeparators() {
  separators_ = {" "};
  for (const std::string_view space : kWhiteSpace) {
    std::vector<std::string> pieces;
    if (!processor_->Encode(space, &pieces).ok()) continue;
    std::string left;
    for (const std::string& piece : pieces) left += piece;
    if (left == std::string(kSpaceMark) + std::string(space)) separators_.push_back(space);
  }
}

size_t Tokenizer::SeparatorBytes(const std::string& text, size_t position) const {
  for (const std::string_view separator : separators_) {
    if (text.compare(position, separator.size(), separator) == 0) return separator.size();
  }
  return 0;
}

// Its vocabulary ends before the sentinels.
void Tokenizer::LoadSpiece(const std::string& path, const TokenizerConfig& config) {
  // Not by the processor's own reading: it takes a disk that fails for a damaged file.
  const auto status = processor_->LoadFromSerializedProto(ReadSmallFile(path));
  if (!status.ok()) throw std::invalid_argument(path + " is damaged: " + status.message());
  next_id_ = processor_->GetPieceSize() + config.extra_ids;
  for (int64_t k = 0; k < config.extra_ids; ++k) AddSpecial(Sentinel(k), next_id_ - 1 - k);
}

// Its vocabulary has the sentinels, or they follow. Returns its added tokens.
std::map<int64_t, std::string> Tokenizer::LoadJson(const std::string& path) {
  TokenizerJson json = ParseTokenizerJson(ReadSmallFile(path), path);
  const std::string model = SerializeModel(json.model);
  if (const auto status = processor_->LoadFromSerializedProto(model); !status.ok()) {
    throw std::invalid_argument(path + ": " + PrintableName(status.message()));
  }
  next_id_ = processor_->GetPieceSize();
  return std::move(json.added_tokens);
}

void Tokenizer::AddSpecials(const std::map<int64_t, std::string>& added,
                            const TokenizerConfig& config) {
  AddSpecial("<pad>", kPadId);
  AddSpecial("</s>", kEosId);
  AddSpecial("<unk>", kUnkId);
  for (const auto& [id, text] : added) {
    AddSpecial(text, id);
    next_id_ = std::max(next_id_, id + 1);
  }
  for (const std::string& text : config.additional_special_tokens) AddUnnumbered(text);
  for (int64_t k = 0; k < config.extra_ids; ++k) AddUnnumbered(Sentinel(k));
  std::ranges::stable_sort(special_, std::ranges::greater{},
                           [](const SpecialToken& token) { return token.text.size(); });
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

// A piece keeps its id.
void Tokenizer::AddUnnumbered(const std::string& text) {
  if (Find(text) != special_.end()) return;
  const int piece = processor_->PieceToId(text);
  AddSpecial(text, processor_->IsUnknown(piece) ? next_id_++ : piece);
}

const Tokenizer::SpecialToken* Tokenizer::SpecialAt(const std::string& text,
                                                    size_t position) const {
  for (const SpecialToken& token : special_) {
    if (text.compare(position, token.text.size(), token.text) == 0) return &token;
  }
  return nullptr;
}

// Word by word also because scores add up in fp32 here and in fp64 there: in a long text, sums that
// are nearly equal would come out in another order.
void Tokenizer::AppendWords(const std::string& segment, std::vector<int64_t>& ids) const {
  size_t begin = 0;
  const auto append_word = [&](size_t end) {
    std::vector<int> word_ids;
    const auto status = processor_->Encode(segment.substr(begin, end - begin), &word_ids);
    if (!status.ok()) throw std::runtime_error("SentencePiece: " + status.ToString());
    ids.insert(ids.end(), word_ids.begin(), word_ids.end());
  };
  for (size_t at = 0; at < segment.size();) {
    const size_t space_bytes = SeparatorBytes(segment, at);
    if (space_bytes > 0) {
      append_word(at);
      begin = at + space_bytes;
    }
    at += std::max<size_t>(space_bytes, 1);
  }
  append_word(segment.size());
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
