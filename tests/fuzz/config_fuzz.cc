// Any text as each of a checkpoint's JSON files: it reads, or is refused with std::invalid_argument
// in one short line.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <stdexcept>
#include <string>

#include "worker/families/cogvideox/config.h"
#include "worker/families/cogvideox/tensor_table.h"

namespace {

// Works out the sizes that a config leads to, which must not overflow.
void UseTransformer(const std::string& text, const std::string& file) {
  cogwheel::TransformerConfig config = cogwheel::ParseTransformerConfig(text, file);
  for (const cogwheel::TensorSpec& spec : cogwheel::TransformerTensors(config)) {
    if (spec.element_count() <= 0) std::abort();
  }
}

void Parse(uint8_t kind, const std::string& text) {
  switch (kind % 7) {
    case 0:
      return UseTransformer(text, "f");
    case 1:
      return void(cogwheel::ParseVaeConfig(text, "f"));
    case 2:
      return void(cogwheel::ParseTextEncoderConfig(text, "f"));
    case 3:
      return void(cogwheel::ParseSchedulerConfig(text, "f"));
    case 4:
      return void(cogwheel::ParseTokenizerConfig(text, "f"));
    case 5:
      return void(cogwheel::ParseModelIndex(text, "f"));
    default:
      return void(cogwheel::ParseCogwheelJson(text, "f"));
  }
}

}  // namespace

// The first byte chooses the file.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  try {
    Parse(data[0], std::string(reinterpret_cast<const char*>(data) + 1, size - 1));
  } catch (const std::invalid_argument& error) {
    const std::string message = error.what();
    if (message.size() > 1000 || message.find('\n') != std::string::npos) std::abort();
  }
  return 0;
}
