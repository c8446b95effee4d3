#include <absl/strings/str_cat.h>
#include <webp/decode.h>

#include "proto/contract/image_formats.h"
#include "worker/media/image_formats.h"

namespace cogwheel {

// Of an animation the first frame, on black.
absl::Status DecodeWebp(std::string_view bytes, std::vector<uint8_t>& rgb) {
  const absl::StatusOr<WebpFrame> frame = FindWebpFrame(bytes);
  if (!frame.ok()) return frame.status();
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) return absl::InternalError("libwebp is another version");
  const size_t row_bytes = static_cast<size_t>(frame->canvas_width) * kRgb;
  const size_t first = frame->y * row_bytes + static_cast<size_t>(frame->x) * kRgb;
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  config.output.u.RGBA.rgba = rgb.data() + first;
  config.output.u.RGBA.stride = static_cast<int>(row_bytes);
  config.output.u.RGBA.size = rgb.size() - first;
  const VP8StatusCode code =
      WebPDecode(reinterpret_cast<const uint8_t*>(frame->data.data()), frame->data.size(), &config);
  WebPFreeDecBuffer(&config.output);
  if (code == VP8_STATUS_OK) return absl::OkStatus();
  if (code == VP8_STATUS_OUT_OF_MEMORY) return absl::ResourceExhaustedError("image: out of memory");
  return absl::InvalidArgumentError("image is a damaged WebP file: its pixels cannot be read");
}

}  // namespace cogwheel
