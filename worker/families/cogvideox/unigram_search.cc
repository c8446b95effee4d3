#include "worker/families/cogvideox/unigram_search.h"

#include <algorithm>
#include <string>

namespace cogwheel {
namespace {

constexpr double kUnknownPenalty = 10;

uint64_t Branch(uint64_t node, char byte) { return node << 8 | static_cast<uint8_t>(byte); }

size_t CharacterBytes(std::string_view word, size_t start) {
  size_t end = start + 1;
  while (end < word.size() && (static_cast<uint8_t>(word[end]) & 0xc0) == 0x80) ++end;
  return end - start;
}

}  // namespace

UnigramSearch::UnigramSearch(const std::vector<UnigramModel::Piece>& pieces, size_t unknown_id)
    : unknown_id_(static_cast<int64_t>(unknown_id)) {
  for (const UnigramModel::Piece& piece : pieces) {
    uint64_t node = 0;
    for (const char byte : piece.text) {
      const auto [branch, added] = branches_.try_emplace(Branch(node, byte), piece_at_.size());
      if (added) piece_at_.push_back(-1);
      node = branch->second;
    }
    piece_at_[node] = std::ssize(scores_);
    scores_.push_back(piece.score);
  }
  unknown_score_ = (scores_.empty() ? 0 : std::ranges::min(scores_)) - kUnknownPenalty;
}

void UnigramSearch::Extend(std::string_view word, size_t start, std::vector<Cut>& cuts) const {
  const auto offer = [&](size_t end, int64_t id, double score) {
    const double sum = score + cuts[start].score;
    if (cuts[end].id < 0 || sum > cuts[end].score) {
      cuts[end] = {.score = sum, .start = start, .id = id};
    }
  };
  const size_t next = start + CharacterBytes(word, start);
  bool known = false;
  uint64_t node = 0;
  for (size_t at = start; at < word.size(); ++at) {
    const auto branch = branches_.find(Branch(node, word[at]));
    if (branch == branches_.end()) break;
    node = branch->second;
    if (piece_at_[node] < 0) continue;
    offer(at + 1, piece_at_[node], scores_[piece_at_[node]]);
    known = known || at + 1 == next;
  }
  if (!known) offer(next, unknown_id_, unknown_score_);
}

void UnigramSearch::AppendIds(std::string_view word, std::vector<int64_t>& ids) const {
  std::vector<Cut> cuts(word.size() + 1);
  for (size_t start = 0; start < word.size(); start += CharacterBytes(word, start)) {
    Extend(word, start, cuts);
  }
  std::vector<int64_t> backwards;
  for (size_t end = word.size(); end > 0; end = cuts[end].start) {
    const bool again = !backwards.empty() && backwards.back() == unknown_id_;
    if (!again || cuts[end].id != unknown_id_) backwards.push_back(cuts[end].id);
  }
  ids.insert(ids.end(), backwards.rbegin(), backwards.rend());
}

}  // namespace cogwheel
