// What is read of a picture before its pixels. Against Pillow: tests/integration/pictures_test.py.
#include "proto/contract/image_header.h"

#include <fstream>
#include <iterator>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/exif.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using ::testing::HasSubstr;

std::string Corpus(const std::string& name) {
  std::ifstream stream(std::string(COGWHEEL_SOURCE_DIR) + "/tests/fuzz/corpus/image_fuzz/" + name,
                       std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

std::string Refusal(const std::string& bytes) {
  const absl::Status status = ReadImageHeader(bytes).status();
  EXPECT_EQ(absl::StatusCode::kInvalidArgument, status.code());
  return std::string(status.message());
}

std::string Segment(char marker, const std::string& data) {
  const auto length = static_cast<uint16_t>(data.size() + 2);
  return std::string{'\xff', marker, static_cast<char>(length >> 8), static_cast<char>(length)} +
         data;
}

// Grey, height 0x0102, width 0x0304.
const std::string kFrame("\x08\x01\x02\x03\x04\x01\x01\x11\x00", 9);
const std::string kScan("\x01\x01\x00\x00\x3f\x00", 6);
const std::string kStart = "\xff\xd8", kEnd = "\xff\xd9";
std::string Scan() { return Segment('\xda', kScan) + "pixels"; }

TEST(ReadImageHeader, WalksJpegSegments) {
  const std::string table("\x09\x09\x09\x09\x09\x09\x09\x09\x09", 9);
  const std::string whole = kStart + Segment('\xe0', "x") + "\xff" + Segment('\xc4', table) +
                            Segment('\xc2', kFrame) + Scan() + kEnd + "behind";
  const auto header = ReadImageHeader(whole);
  ASSERT_TRUE(header.ok()) << header.status();
  EXPECT_EQ(ImageFormat::kJpeg, header->format);
  EXPECT_EQ(0x0304, header->width);
  EXPECT_EQ(0x0102, header->height);
  EXPECT_EQ(1, header->orientation);
  for (size_t size = 3; size < whole.size() - 6; ++size) {
    EXPECT_THAT(Refusal(whole.substr(0, size)), HasSubstr("ends early")) << size;
  }
}

TEST(ReadImageHeader, RefusesWhatTheJpegDecoderDoesNotTake) {
  const auto with = [](const std::string& frame, char marker = '\xc0') {
    return Refusal(kStart + Segment(marker, frame) + Scan() + kEnd);
  };
  EXPECT_THAT(with(kFrame, '\xc3'), HasSubstr("lossless"));
  EXPECT_THAT(with(kFrame, '\xcf'), HasSubstr("hierarchical"));
  std::string frame = kFrame;
  frame[0] = 12;
  EXPECT_THAT(with(frame), HasSubstr("of 12 bits"));
  frame = kFrame;
  frame[7] = 0x50;
  EXPECT_THAT(with(frame), HasSubstr("5 x 0"));
  EXPECT_THAT(with(kFrame + "abc"), HasSubstr("wrong length"));
  EXPECT_THAT(with(std::string("\x08\0\0\0\x04\x01\x01\x11\0", 9)), HasSubstr("4 x 0 pixels"));
  EXPECT_THAT(Refusal(kStart + Segment('\xda', kScan) + kEnd),
              HasSubstr("before its frame header"));
  EXPECT_THAT(Refusal(kStart + Segment('\xc0', kFrame) + Segment('\xc0', kFrame)),
              HasSubstr("two frame headers"));
}

// Each costs the decoder a pass over all pixels.
TEST(ReadImageHeader, BoundsTheScansByThePixels) {
  const auto file = [](const std::string& size, int scans) {
    std::string bytes = kStart + Segment('\xc2', std::string("\x08", 1) + size + "\x01\x01\x11" +
                                                     std::string(1, '\0'));
    for (int i = 0; i < scans; ++i) bytes += Scan();
    return bytes + kEnd;
  };
  const std::string small("\0\x10\0\x10", 4), large("\x10\0\x1f\xff", 4);  // 16 x 16, 4096 x 8191
  EXPECT_TRUE(ReadImageHeader(file(small, 200)).ok());
  EXPECT_THAT(Refusal(file(small, 201)), HasSubstr("more than 200 scans"));
  EXPECT_TRUE(ReadImageHeader(file(std::string("\x0f\xa0\x1f\x40", 4), 31)).ok());  // 32 million
  EXPECT_THAT(Refusal(file(std::string("\x0f\xa0\x1f\x40", 4), 32)),
              HasSubstr("more than 31 scans"));
  EXPECT_THAT(Refusal(file(large, 1)), HasSubstr("33000000 in all"));
}

TEST(ReadImageHeader, AnyCutIsRefusedAndReadsNothingBeyond) {
  for (const char* name : {"jpeg_420", "jpeg_progressive", "png_rgb", "png_palette", "webp_lossy",
                           "webp_lossless", "webp_moving"}) {
    const std::string whole = Corpus(name);
    ASSERT_TRUE(ReadImageHeader(whole).ok()) << name << ReadImageHeader(whole).status();
    const size_t end = std::string_view(name).starts_with("png") ? 12 : 0;  // may lack its IEND
    for (size_t size = 0; size < whole.size() - end; ++size) {
      const std::string cut(whole.data(), size);  // its own allocation, for the sanitizers
      EXPECT_FALSE(ReadImageHeader(cut).ok()) << name << " " << size;
    }
  }
}

TEST(ReadImageHeader, NamesOtherFormats) {
  EXPECT_THAT(Refusal("GIF89a"), HasSubstr("is a GIF file"));
  EXPECT_THAT(Refusal(std::string("\0\0\0\x18"
                                  "ftypheic",
                                  12)),
              HasSubstr("is a HEIC file"));
  EXPECT_THAT(Refusal(std::string("II*\0....", 8)), HasSubstr("is a TIFF file"));
  EXPECT_THAT(Refusal("\xff\xd8"), HasSubstr("neither PNG nor JPEG nor WebP"));
  EXPECT_THAT(Refusal(""), HasSubstr("neither PNG nor JPEG nor WebP"));
}

// A directory of one entry.
std::string Exif(const std::string& type_count_value) {
  return std::string("MM\0*\0\0\0\x08\0\x01\x01\x12", 12) + type_count_value;
}

TEST(ReadOrientation, EveryValueAndNoOther) {
  const std::string padding(2, '\0');
  for (int value = 0; value <= 9; ++value) {
    const std::string digit(1, static_cast<char>(value));
    const auto read =
        ReadOrientation(Exif(std::string("\0\x03\0\0\0\x01\0", 7) + digit + padding), "");
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(value >= 1 && value <= 8 ? value : 1, *read);
  }
}

TEST(ReadOrientation, ATextOfXmpOnlyWithoutTheTag) {
  const std::string xmp = R"(<a tiff:Orientation=""/><b tiff:Orientation="8"/>)";
  EXPECT_EQ(8, ReadOrientation("", xmp).value());
  EXPECT_EQ(5, ReadOrientation("", "<tiff:Orientation>5</tiff:Orientation>").value());
  EXPECT_EQ(1, ReadOrientation(Exif(std::string("\0\x03\0\0\0\x01\0\x01\0\0", 10)), xmp).value());
  // Cut, or of bytes instead of numbers.
  EXPECT_EQ(8, ReadOrientation(Exif(std::string("\0\x03", 2)), xmp).value());
  EXPECT_EQ(1, ReadOrientation(Exif(std::string("\0\x01\0\0\0\x01\x06\0\0\0", 10)), xmp).value());
}

TEST(ReadOrientation, WithoutAHeaderItCannotBeTold) {
  for (const char* block : {"x", "MM", "II*", "Exif", "MM\x2a"}) {
    EXPECT_THAT(std::string(ReadOrientation(block, "").status().message()),
                HasSubstr("damaged EXIF data"))
        << block;
  }
}

}  // namespace
}  // namespace cogwheel
