#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/status.h>

#include "proto/contract/image_header.h"

// Decoders of one format each. `bytes` is a file whose header was read, `rgb` [height, width, 3]
// and zero; INVALID_ARGUMENT for pixels that cannot be read.
namespace cogwheel {

inline constexpr int kRgb = 3;  // bytes of a pixel

absl::Status DecodePng(std::string_view bytes, const ImageHeader& header,
                       std::vector<uint8_t>& rgb);
absl::Status DecodeJpeg(std::string_view bytes, const ImageHeader& header,
                        std::vector<uint8_t>& rgb);
absl::Status DecodeWebp(std::string_view bytes, std::vector<uint8_t>& rgb);

// Names and versions of the libraries behind them: "libjpeg-turbo 2.1.5\nlibwebp 1.2.4".
std::string ImageLibraryVersions();

}  // namespace cogwheel
