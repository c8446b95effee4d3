// Pictures turned upright, damaged, or built to cost far more than their pixels. Against Pillow:
// tests/integration/pictures_test.py.
#include "worker/media/image_decoder.h"

#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "worker/media/image_formats.h"
#include "worker/media/jpeg_encoder.h"

namespace cogwheel {
namespace {

using ::testing::HasSubstr;

std::string BigEndian(uint32_t value) {
  std::string bytes;
  for (const int shift : {24, 16, 8, 0}) bytes.push_back(static_cast<char>(value >> shift));
  return bytes;
}

std::string Chunk(const std::string& type, const std::string& data) {
  const std::string body = type + data;
  const auto* start = reinterpret_cast<const Bytef*>(body.data());
  return BigEndian(data.size()) + body + BigEndian(crc32(0, start, body.size()));
}

std::string Deflate(const std::string& data) {
  std::string deflated(compressBound(data.size()), '\0');
  uLongf size = deflated.size();
  EXPECT_EQ(compress(reinterpret_cast<Bytef*>(deflated.data()), &size,
                     reinterpret_cast<const Bytef*>(data.data()), data.size()),
            Z_OK);
  deflated.resize(size);
  return deflated;
}

// A grey picture with `more` chunks before its pixels; `rows` begin with their filters.
std::string GreyPng(int width, int height, const std::string& rows, const std::string& more = "") {
  return "\x89PNG\r\n\x1a\n" +
         Chunk("IHDR", BigEndian(width) + BigEndian(height) + std::string("\x08\0\0\0\0", 5)) +
         more + Chunk("IDAT", Deflate(rows)) + Chunk("IEND", "");
}

std::string Refusal(const std::string& file) {
  const absl::Status status = DecodeImage(file).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

// One channel, a digit a pixel, rows parted by spaces.
std::string Digits(const DecodedImage& image) {
  std::string digits;
  for (size_t i = 0; i < image.rgb.size(); i += 3) {
    if (i > 0 && i / 3 % image.width == 0) digits += ' ';
    digits += static_cast<char>('0' + image.rgb[i]);
  }
  return digits;
}

// EXIF 2.32, orientation: where row 0 and column 0 of what is stored belong.
TEST(ImageDecoderTest, TurnsAsTheOrientationSays) {
  const char* upright[] = {"123 456",  "321 654",  "654 321",  "456 123",
                           "14 25 36", "41 52 63", "63 52 41", "36 25 14"};
  for (int turn = 1; turn <= 8; ++turn) {
    const std::string exif = std::string("MM\0*\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0", 19) +
                             static_cast<char>(turn) + std::string(6, '\0');
    const std::string rows("\0\1\2\3\0\4\5\6", 8);
    const auto image = DecodeImage(GreyPng(3, 2, rows, Chunk("eXIf", exif)));
    ASSERT_TRUE(image.ok()) << image.status();
    EXPECT_EQ(upright[turn - 1], Digits(*image)) << turn;
  }
}

std::string Corpus(const std::string& name) {
  std::ifstream stream(std::string(COGWHEEL_SOURCE_DIR) + "/tests/fuzz/corpus/image_fuzz/" + name,
                       std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST(ImageDecoderTest, ReadsEveryCoding) {
  for (const char* name :
       {"jpeg_ycck", "jpeg_arithmetic", "jpeg_arithmetic_progressive", "jpeg_411", "jpeg_440",
        "jpeg_rgb", "webp_lossy", "webp_lossless", "webp_alpha_exif", "webp_moving"}) {
    const auto image = DecodeImage(Corpus(name));
    ASSERT_TRUE(image.ok()) << name << ": " << image.status();
    const bool turned = std::string_view(name) == "webp_alpha_exif";
    EXPECT_EQ(turned ? 19 : 21, image->width) << name;
  }
}

// A megabyte of zeros deflates to 1000 bytes; texts and profiles are not unpacked at all.
TEST(ImageDecoderTest, WhatIsNotPixelsCostsNothing) {
  const std::string bomb = Deflate(std::string(8 << 20, '\0'));
  const std::string text = Chunk("zTXt", std::string("k\0\0", 3) + bomb);
  const std::string profile = Chunk("iCCP", std::string("k\0\0", 3) + bomb);
  EXPECT_TRUE(DecodeImage(GreyPng(1, 1, std::string(2, '\0'), text + profile)).ok());
  EXPECT_TRUE(DecodeImage(GreyPng(1, 1, std::string(8 << 20, '\0'))).ok());
  const std::string xmp = Chunk("zTXt", std::string("XML:com.adobe.xmp\0\0", 19) + bomb);
  EXPECT_THAT(Refusal(GreyPng(1, 1, std::string(2, '\0'), xmp)), HasSubstr("over 1 MiB"));
  std::string many;  // of which the last counts
  for (int i = 0; i < 1900; ++i) many += xmp;
  many += Chunk("tEXt", std::string("XML:com.adobe.xmp\0", 18));
  EXPECT_TRUE(DecodeImage(GreyPng(1, 1, std::string(2, '\0'), many)).ok());
}

TEST(ImageDecoderTest, NoHeaderBehindThePixelsCounts) {
  const std::string picture = GreyPng(3, 2, std::string("\0\1\2\3\0\4\5\6", 8));
  const std::string junk("\0\0\0\0????....", 12);
  const std::string header(BigEndian(9) + BigEndian(9) + std::string("\x08\x7e\0\0\0", 5));
  const auto image = DecodeImage(picture.substr(0, picture.size() - 12) + junk +
                                 Chunk("IHDR", header) + Chunk("IDAT", "more"));
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ("123 456", Digits(*image));
}

TEST(ImageDecoderTest, DamagedPixelsAreNamedByTheirRow) {
  EXPECT_THAT(Refusal(GreyPng(2, 3, std::string("\0ab\0cd\0e", 8))),
              "image is a damaged PNG file: row 2 of its 3 cannot be read");
  EXPECT_THAT(Refusal(GreyPng(2, 3, std::string("\0ab\5cd\0ef", 9))), HasSubstr("row 1 of its 3"));
  std::string webp = Corpus("webp_lossless");
  webp.replace(60, 20, 20, '\xff');
  EXPECT_THAT(Refusal(webp), "image is a damaged WebP file: its pixels cannot be read");
  // A scan whose Huffman table was never sent.
  std::string jpeg = *EncodeJpeg(std::vector<uint8_t>(3 * 16 * 16, 90), 16, 16);
  jpeg[jpeg.find("\xff\xda") + 6] = 0x33;
  EXPECT_THAT(Refusal(jpeg), "image is a damaged JPEG file: row 0 of its 16 cannot be read");
}

// Room is made by the header's walk; the library walks by itself.
TEST(ImageDecoderTest, AJpegOfAnotherSizeThanItsHeaderSaysIsRefused) {
  const std::string jpeg = *EncodeJpeg(std::vector<uint8_t>(3 * 16 * 16, 90), 16, 16);
  for (const auto& [width, height] : {std::pair{16, 16}, {8, 16}, {16, 8}, {32, 16}, {16, 32}}) {
    const ImageHeader header = {.format = ImageFormat::kJpeg, .width = width, .height = height};
    std::vector<uint8_t> rgb(static_cast<size_t>(width) * height * kRgb);
    EXPECT_EQ(DecodeJpeg(jpeg, header, rgb).ok(), width == 16 && height == 16);
  }
}

TEST(ImageDecoderTest, EveryCutOfAJpegIsRefused) {
  const std::string file = *EncodeJpeg(std::vector<uint8_t>(3 * 16 * 16, 90), 16, 16);
  for (size_t size = 2; size < file.size(); ++size) {
    EXPECT_EQ(DecodeImage(file.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
}

}  // namespace
}  // namespace cogwheel
