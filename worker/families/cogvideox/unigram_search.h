#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "worker/families/cogvideox/unigram_model.h"

namespace cogwheel {

// Cuts words into the pieces whose scores have the largest sum, as the tokenizers library does
// (Unigram::encode_optimized): in fp64 and in its order, since "aaa" is often "a" and "aa" or "aa"
// and "a" with sums that only rounding tells apart. SentencePiece's own sums are fp32.
// Thread-compatible.
class UnigramSearch {
 public:
  UnigramSearch(const std::vector<UnigramModel::Piece>& pieces, size_t unknown_id);

  // `word` is UTF-8. Neighbours that are no pieces are one unknown id.
  void AppendIds(std::string_view word, std::vector<int64_t>& ids) const;

 private:
  struct Cut {
    double score = 0;  // of the best way to this place
    size_t start = 0;  // of its last piece
    int64_t id = -1;   // of that piece, -1: no way yet
  };
  void Extend(std::string_view word, size_t start, std::vector<Cut>& cuts) const;

  // A trie: the node behind (node << 8 | byte); each node's piece or -1. Node 0 is the root.
  std::unordered_map<uint64_t, uint64_t> branches_;
  std::vector<int64_t> piece_at_ = {-1};
  std::vector<double> scores_;  // by id
  int64_t unknown_id_ = 0;
  double unknown_score_ = 0;
};

}  // namespace cogwheel
