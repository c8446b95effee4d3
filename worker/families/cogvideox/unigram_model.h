#pragma once

#include <string>
#include <vector>

namespace cogwheel {

// A vocabulary of SentencePiece's unigram kind; a piece's id is its place.
struct UnigramModel {
  struct Piece {
    std::string text;  // UTF-8, no zero byte
    double score = 0;
  };
  std::vector<Piece> pieces;
  size_t unknown_id = 0;
  std::string character_map;  // IsCharacterMap, or empty: text stays as it is
};

// The bytes of a .model file (ModelProto of sentencepiece_model.proto, whose generated header
// SentencePiece does not install).
std::string SerializeModel(const UnigramModel& model);

}  // namespace cogwheel
