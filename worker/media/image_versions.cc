#include <cstdio>  // jpeglib.h needs it before

#include <absl/strings/str_cat.h>
#include <jpeglib.h>
#include <webp/decode.h>
#include <zlib.h>

#include "worker/media/image_formats.h"

namespace cogwheel {

std::string ImageLibraryVersions() {
  constexpr int kJpeg = LIBJPEG_TURBO_VERSION_NUMBER;  // 2001005
  const int webp = WebPGetDecoderVersion();            // 0x010204
  return absl::StrCat("libjpeg-turbo ", kJpeg / 1'000'000, ".", kJpeg / 1000 % 1000, ".",
                      kJpeg % 1000, "\nlibwebp ", webp >> 16, ".", webp >> 8 & 255, ".", webp & 255,
                      "\nzlib ", zlibVersion());
}

}  // namespace cogwheel
