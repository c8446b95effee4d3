#include "base/utf8.h"

namespace cogwheel {
namespace {

// Length in bytes of the well-formed UTF-8 character at the front, 0 if there is none.
size_t CharacterBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F)) return 0;  // surrogates
  if ((lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F)) return 0;
  return size;
}

// Of the control character at the front, 0 if there is none.
size_t ControlBytes(std::string_view text) {
  const auto byte = [text](size_t i) { return static_cast<unsigned char>(text[i]); };
  if (byte(0) < 0x20 || byte(0) == 0x7F) return 1;
  return byte(0) == 0xC2 && text.size() > 1 && byte(1) >= 0x80 && byte(1) < 0xA0 ? 2 : 0;
}

}  // namespace

size_t FirstBadUtf8Byte(std::string_view text) {
  size_t offset = 0;
  while (offset < text.size()) {
    const size_t size = CharacterBytes(text.substr(offset));
    if (size == 0) return offset;
    offset += size;
  }
  return std::string_view::npos;
}

bool HasControlCharacter(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (ControlBytes(text.substr(i)) > 0) return true;
  }
  return false;
}

std::string WithoutControls(std::string_view text) {
  std::string plain;
  for (size_t i = 0; i < text.size();) {
    const size_t control = ControlBytes(text.substr(i));
    plain += control > 0 ? ' ' : text[i];
    i += control > 0 ? control : 1;
  }
  return plain;
}

std::string_view ClipUtf8(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xC0) == 0x80) --limit;
  return text.substr(0, limit);
}

}  // namespace cogwheel
