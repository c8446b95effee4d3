// Reads and writes pictures for tests/worker/media/pictures_test.py, a command a line of standard
// input, an answer a line of standard output:
//   read FILE       "WIDTH HEIGHT", the pixels in FILE.rgb; or "header TEXT": refused at submit; or
//                   "pixels TEXT": refused by the rank
//   jpeg FILE SOURCE WIDTH HEIGHT COLOURS SAMPLING CODING RESTART    writes a JPEG that Pillow
//   cannot
//                   write, by libjpeg; COLOURS: grey rgb ycc cmyk ycck; SAMPLING: 2x1,1x1,1x1;
//                   CODING: some of p (progressive), a (arithmetic), e (16-bit quantisers), -
//                   (none); SOURCE: bytes of its pixels, 1, 3 or 4 each
//   ffmpeg FILE SOURCE WIDTH HEIGHT    the same by FFmpeg's encoder
#include <cstdio>
#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

#include <jpeglib.h>

#include "proto/contract/image_header.h"
#include "worker/media/image_decoder.h"
#include "worker/media/jpeg_encoder.h"

namespace cogwheel {
namespace {

std::string ReadFile(const std::string& path) {
  std::ifstream stream(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string Read(const std::string& path) {
  const std::string bytes = ReadFile(path);
  const absl::StatusOr<ImageHeader> header = ReadImageHeader(bytes);
  if (!header.ok()) return "header " + std::string(header.status().message());
  const absl::StatusOr<DecodedImage> image = DecodeImage(bytes);
  if (!image.ok()) return "pixels " + std::string(image.status().message());
  std::ofstream(path + ".rgb", std::ios::binary)
      .write(reinterpret_cast<const char*>(image->rgb.data()), std::ssize(image->rgb));
  return std::to_string(image->width) + " " + std::to_string(image->height);
}

struct JpegKind {
  int width = 0, height = 0, restart = 0;
  std::string colours, sampling, coding;
};

void SetColours(jpeg_compress_struct& jpeg, const std::string& colours) {
  const bool four = colours == "cmyk" || colours == "ycck";
  jpeg.input_components = colours == "grey" ? 1 : four ? 4 : 3;
  jpeg.in_color_space = colours == "grey" ? JCS_GRAYSCALE : four ? JCS_CMYK : JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (colours == "rgb") jpeg_set_colorspace(&jpeg, JCS_RGB);
  if (colours == "ycck") jpeg_set_colorspace(&jpeg, JCS_YCCK);
}

std::string WriteJpeg(const std::string& path, const std::string& pixels, const JpegKind& kind) {
  jpeg_compress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  jpeg.err = jpeg_std_error(&errors);  // ends the program
  errors.emit_message = [](j_common_ptr, int) {};
  jpeg_create_compress(&jpeg);
  FILE* file = std::fopen(path.c_str(), "wb");
  jpeg_stdio_dest(&jpeg, file);
  jpeg.image_width = kind.width;
  jpeg.image_height = kind.height;
  SetColours(jpeg, kind.colours);
  const bool fine = kind.coding.find('e') == std::string::npos;
  jpeg_set_quality(&jpeg, fine ? 90 : 1, fine ? TRUE : FALSE);
  std::istringstream sampling(kind.sampling);
  for (int i = 0; i < jpeg.num_components; ++i) {
    char x = 0;
    sampling >> jpeg.comp_info[i].h_samp_factor >> x >> jpeg.comp_info[i].v_samp_factor >> x;
  }
  jpeg.restart_interval = kind.restart;
  jpeg.arith_code = kind.coding.find('a') != std::string::npos ? TRUE : FALSE;
  if (kind.coding.find('p') != std::string::npos) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  std::string copy = pixels;
  while (jpeg.next_scanline < jpeg.image_height) {
    auto* row = reinterpret_cast<JSAMPLE*>(copy.data()) +
                static_cast<size_t>(jpeg.next_scanline) * kind.width * jpeg.input_components;
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  jpeg_destroy_compress(&jpeg);
  std::fclose(file);
  return "written";
}

std::string Answer(std::istringstream words) {
  std::string command, path, source;
  words >> command >> path;
  if (command == "read") return Read(path);
  JpegKind kind;
  words >> source >> kind.width >> kind.height;
  const std::string pixels = ReadFile(source);
  if (command == "jpeg") {
    words >> kind.colours >> kind.sampling >> kind.coding >> kind.restart;
    return WriteJpeg(path, pixels, kind);
  }
  const auto* rgb = reinterpret_cast<const uint8_t*>(pixels.data());
  const auto jpeg = EncodeJpeg({rgb, pixels.size()}, kind.height, kind.width);
  if (!jpeg.ok()) return std::string(jpeg.status().message());
  std::ofstream(path, std::ios::binary) << *jpeg;
  return "written";
}

}  // namespace
}  // namespace cogwheel

int main() {
  for (std::string line; std::getline(std::cin, line);) {
    std::cout << cogwheel::Answer(std::istringstream(line)) << std::endl;
  }
}
