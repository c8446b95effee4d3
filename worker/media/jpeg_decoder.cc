#include <csetjmp>
#include <cstdio>  // jpeglib.h needs it before

#include <absl/strings/str_cat.h>
#include <jpeglib.h>

#include <jerror.h>  // after it

#include "worker/media/image_formats.h"

namespace cogwheel {
namespace {

constexpr int kCmyk = 4;  // bytes of a pixel

// The library leaves by longjmp, over frames of C++: what is on the stack between setjmp and there
// has no destructors, everything else is owned by DecodeJpeg.
struct Decompressor {
  jpeg_decompress_struct jpeg = {};
  jpeg_error_mgr errors = {};
  std::jmp_buf leave;

  Decompressor() = default;
  ~Decompressor() { jpeg_destroy_decompress(&jpeg); }
  Decompressor(const Decompressor&) = delete;
  Decompressor& operator=(const Decompressor&) = delete;
};

void Leave(j_common_ptr jpeg) {
  std::longjmp(static_cast<Decompressor*>(jpeg->client_data)->leave, 1);
}

// As Pillow, warnings (damaged pixels that could be guessed) are passed over.
void PassOver(j_common_ptr /*jpeg*/, int /*level*/) {}

uint8_t Product(int a, int b) {  // of parts of 255, as Pillow rounds it
  const int product = a * b + 128;
  return static_cast<uint8_t>(((product >> 8) + product) >> 8);
}

// Pillow takes every CMYK file for one of Adobe's, which are stored inverted.
void CopyCmyk(const uint8_t* row, int width, uint8_t* rgb) {
  for (int x = 0; x < width; ++x, row += kCmyk, rgb += kRgb) {
    for (int channel = 0; channel < kRgb; ++channel) {
      rgb[channel] = static_cast<uint8_t>(row[3] - Product(255 - row[channel], row[3]));
    }
  }
}

// Defaults (slow integer transform, smooth enlarging of colours) are Pillow's too. `row`: room for
// one of CMYK. False: left by an error, with the rows before it done, or of another size than the
// header that room was made by.
bool ReadRows(Decompressor& file, std::string_view bytes, const ImageHeader& header, uint8_t* rgb,
              uint8_t* row) {
  jpeg_decompress_struct* jpeg = &file.jpeg;
  jpeg->err = jpeg_std_error(&file.errors);
  jpeg->client_data = &file;
  file.errors.error_exit = Leave;
  file.errors.emit_message = PassOver;
  if (setjmp(file.leave) != 0) return false;
  jpeg_create_decompress(jpeg);
  jpeg_mem_src(jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(jpeg, TRUE);
  if (jpeg->image_width != static_cast<JDIMENSION>(header.width) ||
      jpeg->image_height != static_cast<JDIMENSION>(header.height)) {
    return false;
  }
  jpeg->out_color_space = jpeg->num_components == kCmyk ? JCS_CMYK : JCS_RGB;
  jpeg_start_decompress(jpeg);
  const ptrdiff_t row_bytes = static_cast<ptrdiff_t>(jpeg->output_width) * kRgb;
  while (jpeg->output_scanline < jpeg->output_height) {
    uint8_t* out = rgb + row_bytes * jpeg->output_scanline;
    uint8_t* target = jpeg->num_components == kCmyk ? row : out;
    jpeg_read_scanlines(jpeg, &target, 1);
    if (target == row) CopyCmyk(row, static_cast<int>(jpeg->output_width), out);
  }
  return true;
}

}  // namespace

absl::Status DecodeJpeg(std::string_view bytes, const ImageHeader& header,
                        std::vector<uint8_t>& rgb) {
  Decompressor file;
  std::vector<uint8_t> row(static_cast<size_t>(header.width) * kCmyk);
  if (ReadRows(file, bytes, header, rgb.data(), row.data())) return absl::OkStatus();
  if (file.errors.msg_code == JERR_OUT_OF_MEMORY) {
    return absl::ResourceExhaustedError("image: out of memory");
  }
  return absl::InvalidArgumentError(absl::StrCat("image is a damaged JPEG file: row ",
                                                 file.jpeg.output_scanline, " of its ",
                                                 header.height, " cannot be read"));
}

}  // namespace cogwheel
