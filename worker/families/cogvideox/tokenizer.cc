#include "worker/families/cogvideox/tokenizer.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <string_view>
#include <utility>

#include <sentencepiece_processor.h>

#include "worker/families/cogvideox/tokenizer_json.h"
#include "worker/families/cogvideox/unigram_search.h"
#include "worker/weights/json_fields.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

constexpr int64_t kPadId = 0;
constexpr int64_t kEosId = 1;
constexpr int64_t kUnkId = 2;

// What has White_Space in Unicode, less the plain space, which SentencePiece makes a mark.
constexpr std::array<std::string_view, 24> kWhiteSpace = {
    "\t",     "\n",     "\v",     "\f",     "\r",     "\u0085", "\u00a0", "\u1680",
    "\u2000", "\u2001", "\u2002", "\u2003", "\u2004", "\u2005", "\u2006", "\u2007",
    "\u2008", "\u2009", "\u200a", "\u2028", "\u2029", "\u202f", "\u205f", "\u3000"};

constexpr std::string_view kSpaceMark = "\u2581";

// Bytes of the white space at `position`, or 0.
size_t WhiteSpaceBytes(const std::string& text, size_t position) {
  for (const std::string_view space : kWhiteSpace) {
    if (text.compare(position, space.size(), space) == 0) return space.size();
  }
  return 0;
}

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
  tokenizer->AddSpecials(config.added_tokens.empty() ? added : config.added_tokens, config);
  return tokenizer;
}

// Its vocabulary ends before the sentinels, which the reference appends to it, the last one first.
void Tokenizer::LoadSpiece(const std::string& path, const TokenizerConfig& config) {
  // Not by the processor's own reading: it takes a disk that fails for a damaged file.
  const auto status = processor_->LoadFromSerializedProto(ReadSmallFile(path));
  if (!status.ok()) throw std::invalid_argument(path + " is damaged: " + status.message());
  std::vector<UnigramModel::Piece> pieces;
  for (int id = 0; id < processor_->GetPieceSize(); ++id) {
    pieces.push_back({.text = processor_->IdToPiece(id), .score = processor_->GetScore(id)});
  }
  for (int64_t k = config.extra_ids - 1; k >= 0; --k) {
    AddSpecial(Sentinel(k), std::ssize(pieces));
    pieces.push_back({.text = Sentinel(k), .score = 0});
  }
  search_ = std::make_unique<UnigramSearch>(pieces, kUnkId);
  next_id_ = std::ssize(pieces);
}

// Its vocabulary has the sentinels, or they follow. Returns its added tokens.
std::map<int64_t, std::string> Tokenizer::LoadJson(const std::string& path) {
  TokenizerJson json = ParseTokenizerJson(ReadSmallFile(path), path);
  const std::string model = SerializeModel(json.model);
  if (const auto status = processor_->LoadFromSerializedProto(model); !status.ok()) {
    throw std::invalid_argument(path + ": " + PrintableName(status.message()));
  }
  search_ = std::make_unique<UnigramSearch>(json.model.pieces, json.model.unknown_id);
  next_id_ = std::ssize(json.model.pieces);
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

// SentencePiece's pieces in a row are what its normaliser made of the text, with a mark before it.
std::string Tokenizer::Normalise(const std::string& text) const {
  std::vector<std::string> pieces;
  const auto encoded = processor_->Encode(text, &pieces);
  if (!encoded.ok()) throw std::runtime_error("SentencePiece: " + encoded.ToString());
  std::string normal;
  for (const std::string& piece : pieces) normal += piece;
  if (normal.starts_with(kSpaceMark)) normal.erase(0, kSpaceMark.size());
  return normal;
}

// Of a segment without a plain space.
void Tokenizer::AppendIds(const std::string& segment, std::vector<int64_t>& ids) const {
  std::string word;
  const auto end_word = [&] {
    if (word.empty()) return;
    if (!word.starts_with(kSpaceMark)) word.insert(0, kSpaceMark);
    search_->AppendIds(word, ids);
    word.clear();
  };
  const std::string normal = Normalise(segment);
  for (size_t at = 0; at < normal.size();) {
    const size_t space_bytes = WhiteSpaceBytes(normal, at);
    if (space_bytes > 0 || normal.compare(at, kSpaceMark.size(), kSpaceMark) == 0) end_word();
    if (space_bytes == 0) word += normal[at];
    at += std::max<size_t>(space_bytes, 1);
  }
  end_word();
}

void Tokenizer::AppendWords(const std::string& text, size_t begin, size_t end,
                            std::vector<Token>& tokens) const {
  while (begin < end) {
    const size_t word_end = std::min(text.find(' ', begin), end);
    std::vector<int64_t> ids;
    AppendIds(text.substr(begin, word_end - begin), ids);
    for (const int64_t id : ids) tokens.push_back({.id = id, .begin = begin, .end = word_end});
    begin = word_end + 1;
  }
}

std::vector<Tokenizer::Token> Tokenizer::Tokens(const std::string& text) const {
  std::vector<Token> tokens;
  size_t begin = 0;
  for (size_t at = 0; at < text.size();) {
    const SpecialToken* special = SpecialAt(text, at);
    if (special == nullptr) {
      ++at;
      continue;
    }
    AppendWords(text, begin, at, tokens);
    begin = at + special->text.size();
    tokens.push_back({.id = special->id, .begin = at, .end = begin});
    at = begin;
  }
  AppendWords(text, begin, text.size(), tokens);
  return tokens;
}

std::vector<int64_t> Tokenizer::Encode(const std::string& text, int max_length) const {
  std::vector<int64_t> ids;
  for (const Token& token : Tokens(text)) ids.push_back(token.id);
  if (ids.size() > static_cast<size_t>(max_length - 1)) ids.resize(max_length - 1);
  ids.push_back(kEosId);
  ids.resize(max_length, kPadId);
  return ids;
}

Tokenizer::Reading Tokenizer::Read(const std::string& text, int max_length) const {
  std::vector<Token> tokens = Tokens(text);
  Reading reading;
  const auto read = static_cast<size_t>(max_length - 1);
  if (tokens.size() > read) {
    reading.cut_tokens = std::ssize(tokens) - (max_length - 1);
    reading.cut_text = text.substr(tokens[read].begin);
    tokens.resize(read);
  }
  for (const Token& token : tokens) {
    if (token.id != kUnkId) continue;
    const std::string word = text.substr(token.begin, token.end - token.begin);
    if (std::ranges::find(reading.unknown, word) == reading.unknown.end()) {
      reading.unknown.push_back(word);
    }
  }
  return reading;
}

}  // namespace cogwheel
