// Any text as a tokenizer.json: it loads and tokenises, or is refused with std::invalid_argument in
// one short line. The first byte chooses: the whole text, or a character map in a good file.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

#include <absl/strings/escaping.h>
#include <absl/strings/str_cat.h>
#include <unistd.h>

#include "worker/families/cogvideox/tokenizer.h"

namespace {

std::string WithCharacterMap(const std::string& map) {
  return absl::StrCat(
      R"({"added_tokens":[],"normalizer":{"type":"Precompiled","precompiled_charsmap":")",
      absl::Base64Escape(map), R"("},"pre_tokenizer":{"type":"Metaspace"},"model":{"vocab":)",
      R"([["<pad>",0],["</s>",0],["<unk>",0],["a",-1],["\u2581",-2]]}})");
}

void Tokenise(const std::string& json) {
  static const std::string folder =
      std::filesystem::temp_directory_path() / absl::StrCat("tokenizer-fuzz-", getpid());
  std::filesystem::create_directories(folder);
  std::ofstream(folder + "/tokenizer.json", std::ios::binary) << json;
  const auto tokenizer = cogwheel::Tokenizer::Load(folder, {});
  for (const char* text :
       {"", "a red circle", "\u2581 a\u0301\u0085\u3000</s>\uff21", "aaa<unk>"}) {
    if (tokenizer->Encode(text, 20).size() != 20) std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    Tokenise(data[0] % 2 == 0 ? text : WithCharacterMap(text));
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    if (message.size() > 1000 || message.find('\n') != std::string::npos) std::abort();
  }
  return 0;
}
