// Pictures of clients: any bytes give a picture or a status.
#include <cstddef>
#include <cstdint>
#include <string>

#include "worker/media/image_decoder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto image = cogwheel::DecodeImage({reinterpret_cast<const char*>(data), size});
  if (image.ok() && image->rgb.size() != size_t{3} * image->height * image->width) __builtin_trap();
  return 0;
}
