#pragma once

#include <string>

#include "cogwheel/v1/video_service.pb.h"

namespace cogwheel {

// A text-to-video model of the 1.0 family with small limits: 8k+1 frames up to 49, 480 x 720.
inline v1::Model TestModel(const std::string& name = "tiny") {
  v1::Model model;
  model.set_name(name);
  model.set_digest("d1");
  v1::ModelDefaults& defaults = *model.mutable_defaults();
  defaults.set_frames(49);
  defaults.set_height(480);
  defaults.set_width(720);
  defaults.set_fps(8);
  defaults.set_steps(50);
  defaults.set_guidance_scale(6);
  defaults.set_scheduler(v1::SCHEDULER_DPM);
  v1::ModelLimits& limits = *model.mutable_limits();
  limits.set_frames_multiple(8);
  limits.set_max_frames(49);
  limits.set_max_area(480 * 720);
  limits.set_max_height(4096);
  limits.set_max_width(4096);
  limits.set_max_steps(200);
  limits.set_max_text_tokens(226);
  return model;
}

// A PNG file whose header tells a size, with a chunk for pixels and none in it.
inline std::string PngHeader(uint32_t width, uint32_t height) {
  const auto big_endian = [](uint32_t value) {
    std::string bytes;
    for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>(value >> shift & 0xFF);
    return bytes;
  };
  const auto chunk = [&](const std::string& type, const std::string& data) {
    uint32_t sum = ~0U;  // CRC-32, bit by bit
    for (const char byte : type + data) {
      sum ^= static_cast<unsigned char>(byte);
      for (int bit = 0; bit < 8; ++bit) sum = sum >> 1 ^ ((sum & 1) != 0 ? 0xEDB88320U : 0);
    }
    return big_endian(static_cast<uint32_t>(data.size())) + type + data + big_endian(~sum);
  };
  const std::string format("\x08\x02\x00\x00\x00", 5);
  return "\x89PNG\r\n\x1a\n" + chunk("IHDR", big_endian(width) + big_endian(height) + format) +
         chunk("IDAT", "") + chunk("IEND", "");
}

}  // namespace cogwheel
