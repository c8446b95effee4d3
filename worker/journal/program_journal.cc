#include "worker/journal/program_journal.h"

namespace cogwheel {

std::string_view BlockName(BlockKind kind) {
  switch (kind) {
    case BlockKind::kText:
      return "text_encode";
    case BlockKind::kStep:
      return "denoise";
    case BlockKind::kDecode:
      return "decode";
    case BlockKind::kNone:
      break;
  }
  return "none";
}

}  // namespace cogwheel
