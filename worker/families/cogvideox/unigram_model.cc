#include "worker/families/cogvideox/unigram_model.h"

#include <bit>
#include <cstdint>
#include <string_view>

namespace cogwheel {
namespace {

// Fields of sentencepiece_model.proto.
constexpr uint32_t kModelPieces = 1, kModelTrainerSpec = 2, kModelNormalizerSpec = 3;
constexpr uint32_t kPieceText = 1, kPieceScore = 2, kPieceType = 3;
constexpr uint32_t kTrainerModelType = 3;
constexpr uint32_t kNormalizerCharacterMap = 2, kNormalizerRemoveSpaces = 4;
constexpr uint64_t kNormal = 1, kUnknown = 2;  // SentencePiece.Type
constexpr uint64_t kUnigram = 1;               // TrainerSpec.ModelType

// Protobuf's wire format, the three kinds that the model needs.
class Message {
 public:
  void Add(uint32_t field, uint64_t value) {
    AddVarint(field << 3 | 0);
    AddVarint(value);
  }
  void Add(uint32_t field, std::string_view value) {
    AddVarint(field << 3 | 2);
    AddVarint(value.size());
    bytes_.append(value);
  }
  void Add(uint32_t field, float value) {
    AddVarint(field << 3 | 5);
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) bytes_ += static_cast<char>(bits >> shift & 0xff);
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void AddVarint(uint64_t value) {
    for (; value >= 0x80; value >>= 7) bytes_ += static_cast<char>(0x80 | (value & 0x7f));
    bytes_ += static_cast<char>(value);
  }

  std::string bytes_;
};

}  // namespace

std::string SerializeModel(const UnigramModel& model) {
  Message message;
  for (size_t id = 0; id < model.pieces.size(); ++id) {
    Message piece;
    piece.Add(kPieceText, std::string_view(model.pieces[id].text));
    piece.Add(kPieceScore, static_cast<float>(model.pieces[id].score));
    piece.Add(kPieceType, id == model.unknown_id ? kUnknown : kNormal);
    message.Add(kModelPieces, std::string_view(piece.bytes()));
  }
  Message trainer;
  trainer.Add(kTrainerModelType, kUnigram);
  message.Add(kModelTrainerSpec, std::string_view(trainer.bytes()));
  // The map makes white space of all kinds plain spaces; what stays of them is one mark a gap.
  // Without a map nothing but marks of the text itself could be taken for double ones.
  Message normalizer;
  normalizer.Add(kNormalizerCharacterMap, std::string_view(model.character_map));
  normalizer.Add(kNormalizerRemoveSpaces, uint64_t{model.character_map.empty() ? 0U : 1U});
  message.Add(kModelNormalizerSpec, std::string_view(normalizer.bytes()));
  return message.bytes();
}

}  // namespace cogwheel
