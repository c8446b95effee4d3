// Files built to cost the decoder far more than their pixels.
#include "worker/media/image_container.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include "worker/media/image_decoder.h"
#include "worker/media/jpeg_encoder.h"

namespace cogwheel {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr int kSide = 16;
constexpr size_t kPixelBytes = (3 * kSide + 1) * kSide;  // a filter byte before each row

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

// An RGB picture with `more` chunks before its data.
std::string Png(const std::string& more, size_t inflated = kPixelBytes) {
  const std::string header = BigEndian(kSide) + BigEndian(kSide) + std::string("\x08\x02\0\0\0", 5);
  return "\x89PNG\r\n\x1a\n" + Chunk("IHDR", header) + more +
         Chunk("IDAT", Deflate(std::string(inflated, '\0'))) + Chunk("IEND", "");
}

std::string Jpeg() {
  return *EncodeJpeg(std::vector<uint8_t>(3 * kSide * kSide, 90), kSide, kSide);
}

std::string Segment(char marker, const std::string& data) {
  const std::string length = BigEndian(data.size() + 2).substr(2);
  return std::string{'\xff', marker} + length + data;
}

// `more` right after the start marker, or before the first segment of type `before`.
std::string JpegWith(const std::string& more, const std::string& before = "") {
  std::string file = Jpeg();
  return file.insert(before.empty() ? 2 : file.find(before), more);
}

std::string Refusal(const std::string& file) {
  const absl::Status status = DecodeImage(file).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  return std::string(status.message());
}

// A megabyte of such a chunk inflates to a gigabyte in the decoder, and EXIF of 65 kB to as much.
TEST(ImageContainerTest, WhatIsNotPixelsIsLeftOut) {
  const std::string text = Chunk("zTXt", std::string("k\0\0", 3) + Deflate("hello"));
  const std::string profile = Chunk("iCCP", std::string("k\0\0", 3) + "not deflated");
  EXPECT_EQ(*KeepPixelData(Png(text + profile), kSide, kSide), Png(""));
  EXPECT_TRUE(DecodeImage(Png(text + profile)).ok());
  const std::string exif = Segment('\xe1', std::string("Exif\0\0MM\0*\0\0\0\x08\0\0", 16));
  EXPECT_EQ(*KeepPixelData(JpegWith(exif), kSide, kSide), *KeepPixelData(Jpeg(), kSide, kSide));
  EXPECT_THAT(*KeepPixelData(JpegWith(exif) + "MOVIE", kSide, kSide), Not(HasSubstr("MOVIE")));
  EXPECT_TRUE(DecodeImage(JpegWith(exif)).ok());
}

TEST(ImageContainerTest, AdobesSegmentStays) {
  const std::string adobe = Segment('\xee', std::string("Adobe\0d\0\0\0\0\1", 12));
  EXPECT_THAT(*KeepPixelData(JpegWith(adobe), kSide, kSide), HasSubstr(adobe));
}

TEST(ImageContainerTest, DataFarBeyondThePixelsAreRefused) {
  EXPECT_TRUE(DecodeImage(Png("")).ok());
  EXPECT_THAT(Refusal(Png("", 1 << 20)), HasSubstr("more data than pixels"));
  // Spread over two chunks as well.
  const std::string whole = Deflate(std::string(1 << 20, '\0'));
  const std::string first = Chunk("IDAT", whole.substr(0, 20));
  EXPECT_THAT(Refusal(Png(first + Chunk("IDAT", whole.substr(20)))),
              HasSubstr("more data than pixels"));
}

TEST(ImageContainerTest, HundredsOfScansAreRefused) {
  std::string file = Jpeg();
  const std::string scan =
      file.substr(file.find("\xff\xda"), file.size() - 2 - file.find("\xff\xda"));
  for (int i = 0; i < 199; ++i) file.insert(file.size() - 2, scan);
  EXPECT_TRUE(KeepPixelData(file, kSide, kSide).ok());
  file.insert(file.size() - 2, scan);
  EXPECT_THAT(Refusal(file), HasSubstr("more than 200 scans"));
}

TEST(ImageContainerTest, RepeatedHeadersAndTablesAreRefused) {
  const std::string jpeg = Jpeg();
  const size_t frame = jpeg.find("\xff\xc0");
  const std::string header = jpeg.substr(frame, 2 + 17);  // 8 bytes and 3 for each component
  EXPECT_THAT(Refusal(JpegWith(header, header)), HasSubstr("two frame headers"));
  EXPECT_THAT(Refusal(JpegWith(Segment('\xdb', std::string(40, '\0')), header)),
              HasSubstr("incomplete quantiser tables"));
  std::string tables;
  for (int i = 0; i < 5; ++i) tables += Segment('\xdb', std::string(65 * 1000, '\0'));
  EXPECT_THAT(Refusal(JpegWith(tables, header)), HasSubstr("too many tables"));
}

TEST(ImageContainerTest, AJpegThatEndsEarlyIsRefused) {
  const std::string file = Jpeg();
  for (size_t size = 2; size < file.size(); ++size) {
    EXPECT_EQ(DecodeImage(file.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument)
        << size;
  }
}

}  // namespace
}  // namespace cogwheel
