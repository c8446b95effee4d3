// Frames to MP4 and back, previews, and pictures that are damaged or too large.
#include <cmath>
#include <cstdio>
#include <fstream>
#include <functional>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/media/av_handles.h"
#include "worker/media/image_decoder.h"
#include "worker/media/jpeg_encoder.h"
#include "worker/media/video_encoder.h"

namespace cogwheel {
namespace {

using ::testing::HasSubstr;

constexpr int kWidth = 128, kHeight = 96, kFps = 8;

// A coloured square that moves over a grey ground, [kHeight, kWidth, 3].
std::vector<uint8_t> MakeFrame(int idx) {
  std::vector<uint8_t> rgb(kWidth * kHeight * 3, 120);
  for (int y = 30; y < 60; ++y) {
    for (int x = 10 + 4 * idx; x < 40 + 4 * idx; ++x) {
      uint8_t* pixel = &rgb[(y * kWidth + x) * 3];
      pixel[0] = 230, pixel[1] = 40, pixel[2] = 40;
    }
  }
  return rgb;
}

// Bytes that are 0 or `level`, unrelated to their neighbours.
std::vector<uint8_t> Noise(int seed, uint8_t level) {
  std::mt19937 generator(seed);
  std::vector<uint8_t> rgb(kWidth * kHeight * 3);
  for (uint8_t& value : rgb) value = generator() % 2 == 0 ? 0 : level;
  return rgb;
}

// `frame` gives frame i. `sizes`: bytes written once each frame was added.
std::string EncodeClip(int frame_count,
                       const std::function<std::vector<uint8_t>(int)>& frame = MakeFrame,
                       std::vector<size_t>* sizes = nullptr) {
  std::string file;
  auto encoder =
      VideoEncoder::Create({.width = kWidth, .height = kHeight, .fps = kFps, .frames = frame_count},
                           [&file](std::span<const uint8_t> bytes) {
                             file.append(bytes.begin(), bytes.end());
                             return absl::OkStatus();
                           });
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  for (int i = 0; i < frame_count; ++i) {
    const absl::Status status = (*encoder)->AddFrame(frame(i));
    EXPECT_TRUE(status.ok()) << "frame " << i << ": " << status;
    if (sizes != nullptr) sizes->push_back(file.size());
  }
  EXPECT_TRUE((*encoder)->Finish().ok());
  return file;
}

// Every frame of an MP4 file as RGB, with the colours its tags declare. Each stands at its time,
// and each second begins with a key frame.
std::vector<std::vector<uint8_t>> DecodeClip(const std::string& file, AVRational* frame_rate) {
  const std::string path = ::testing::TempDir() + "/clip.mp4";
  std::ofstream(path, std::ios::binary) << file;
  AVFormatContext* opened = nullptr;
  EXPECT_EQ(avformat_open_input(&opened, path.c_str(), nullptr, nullptr), 0);
  EXPECT_GE(avformat_find_stream_info(opened, nullptr), 0);
  const AVStream* stream = opened->streams[0];
  *frame_rate = stream->avg_frame_rate;
  const CodecHandle codec(avcodec_alloc_context3(avcodec_find_decoder(stream->codecpar->codec_id)));
  avcodec_parameters_to_context(codec.get(), stream->codecpar);
  EXPECT_EQ(avcodec_open2(codec.get(), nullptr, nullptr), 0);
  EXPECT_EQ(codec->colorspace, AVCOL_SPC_BT709);
  const ScalerHandle scaler(sws_getContext(kWidth, kHeight, AV_PIX_FMT_YUV420P, kWidth, kHeight,
                                           AV_PIX_FMT_RGB24, SWS_BICUBIC, nullptr, nullptr,
                                           nullptr));
  const int* bt709 = sws_getCoefficients(SWS_CS_ITU709);
  sws_setColorspaceDetails(scaler.get(), bt709, 0, bt709, 1, 0, 1 << 16, 1 << 16);
  const FrameHandle frame(av_frame_alloc());
  const PacketHandle packet(av_packet_alloc());
  std::vector<std::vector<uint8_t>> frames;
  const auto drain = [&] {
    while (avcodec_receive_frame(codec.get(), frame.get()) == 0) {
      const int idx = static_cast<int>(frames.size());
      EXPECT_NEAR(frame->pts * av_q2d(stream->time_base), static_cast<double>(idx) / kFps, 1e-9);
      EXPECT_TRUE(frame->key_frame || idx % kFps != 0) << "frame " << idx;
      std::vector<uint8_t> rgb(kWidth * kHeight * 3);
      uint8_t* rows[] = {rgb.data()};
      const int strides[] = {kWidth * 3};
      sws_scale(scaler.get(), frame->data, frame->linesize, 0, kHeight, rows, strides);
      frames.push_back(std::move(rgb));
    }
  };
  while (av_read_frame(opened, packet.get()) == 0) {
    avcodec_send_packet(codec.get(), packet.get());
    av_packet_unref(packet.get());
    drain();
  }
  avcodec_send_packet(codec.get(), nullptr);
  drain();
  avformat_close_input(&opened);
  std::remove(path.c_str());
  return frames;
}

double Psnr(const std::vector<uint8_t>& a, const std::vector<uint8_t>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return 10 * std::log10(255.0 * 255.0 * a.size() / std::max(sum, 1e-9));
}

TEST(VideoEncoderTest, APlayerSeesTheSameFramesInTheSameColours) {
  constexpr int kFrames = 17;
  AVRational rate = {};
  const auto frames = DecodeClip(EncodeClip(kFrames), &rate);
  ASSERT_EQ(frames.size(), kFrames);
  EXPECT_NEAR(av_q2d(rate), kFps, 1e-6);
  for (int i = 0; i < kFrames; ++i) {
    // Halved chroma alone costs a sharp red edge this much; wrong colour tags drop below 25.
    EXPECT_GE(Psnr(frames[i], MakeFrame(i)), 30) << "frame " << i;
    const uint8_t* inside = &frames[i][(45 * kWidth + 25 + 4 * i) * 3];
    EXPECT_NEAR(inside[0], 230, 6);
    EXPECT_NEAR(inside[1], 40, 6);
    EXPECT_NEAR(inside[2], 40, 6);
  }
}

TEST(VideoEncoderTest, TheBytesAreAFunctionOfTheFrames) {
  EXPECT_EQ(EncodeClip(10), EncodeClip(10));
}

TEST(VideoEncoderTest, TheFileIsStreamableAndFragmentedEverySecond) {
  std::vector<size_t> sizes;
  // Scene cuts do not move the fragments.
  const auto cut_at = [](int idx) { return idx < 12 ? MakeFrame(0) : Noise(idx / 12, 40); };
  const std::string file = EncodeClip(17, cut_at, &sizes);
  for (int i = 1; i < 17; ++i) {
    // The second is there as soon as its last frame is.
    EXPECT_EQ(sizes[i] > sizes[i - 1], i % kFps == kFps - 1) << "frame " << i;
  }
  EXPECT_EQ(file.substr(4, 4), "ftyp");
  EXPECT_LT(file.find("moov"), file.find("moof"));
  int fragments = 0;
  for (size_t at = file.find("moof"); at != std::string::npos; at = file.find("moof", at + 1)) {
    ++fragments;
  }
  EXPECT_EQ(fragments, 3);  // 8 + 8 + 1 frames
}

// As from a model that has not learnt, or from one step: no quantiser may be too fine for it.
TEST(VideoEncoderTest, NoiseIsEncodedCoarserAfterFineFrames) {
  constexpr int kFrames = 12, kFlat = 5;
  const auto frame = [](int idx) { return idx < kFlat ? MakeFrame(idx) : Noise(idx, 255); };
  AVRational rate = {};
  const auto frames = DecodeClip(EncodeClip(kFrames, frame), &rate);
  ASSERT_EQ(frames.size(), kFrames);
  for (int i = 0; i < kFrames; ++i) {
    EXPECT_GE(Psnr(frames[i], frame(i)), i < kFlat ? 30 : 7) << "frame " << i;
  }
}

TEST(VideoEncoderTest, AFailingSinkEndsTheEncodingWithItsOwnError) {
  auto encoder = VideoEncoder::Create(
      {.width = kWidth, .height = kHeight, .fps = kFps},
      [](std::span<const uint8_t>) { return absl::ResourceExhaustedError("nobody reads"); });
  const absl::Status status = encoder.ok() ? (*encoder)->Finish() : encoder.status();
  EXPECT_EQ(status.message(), "nobody reads");
}

TEST(VideoEncoderTest, AFrameOfAnotherSizeIsRefused) {
  auto encoder = VideoEncoder::Create({.width = kWidth, .height = kHeight, .fps = kFps},
                                      [](std::span<const uint8_t>) { return absl::OkStatus(); });
  ASSERT_TRUE(encoder.ok());
  EXPECT_FALSE((*encoder)->AddFrame(std::vector<uint8_t>(10)).ok());
}

TEST(JpegTest, APreviewDecodesToThePicture) {
  const auto jpeg = EncodeJpeg(MakeFrame(3), kHeight, kWidth);
  ASSERT_TRUE(jpeg.ok()) << jpeg.status();
  const auto image = DecodeImage(*jpeg);
  ASSERT_TRUE(image.ok()) << image.status();
  EXPECT_EQ(image->width, kWidth);
  EXPECT_EQ(image->height, kHeight);
  EXPECT_GE(Psnr(image->rgb, MakeFrame(3)), 30);
}

std::string ReadBytes(const std::string& path) {
  std::ifstream stream(std::string(COGWHEEL_SOURCE_DIR) + "/tests/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

// Pillow wrote these from one gradient. (PNG kinds: vae_test, to the byte.)
TEST(ImageDecoderTest, EveryKindOfJpegShowsThePicture) {
  constexpr int kRows = 19, kColumns = 21;
  std::vector<uint8_t> colour, grey;
  for (int y = 0; y < kRows; ++y) {
    for (int x = 0; x < kColumns; ++x) {
      const int rgb[] = {12 * x, 13 * y, 6 * (x + y)};
      colour.insert(colour.end(), {uint8_t(rgb[0]), uint8_t(rgb[1]), uint8_t(rgb[2])});
      grey.insert(grey.end(), 3, uint8_t(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]));
    }
  }
  for (const char* kind :
       {"png_rgb", "jpeg_420", "jpeg_progressive", "jpeg_cmyk", "jpeg_grey_restarts"}) {
    const auto image = DecodeImage(ReadBytes(std::string("fuzz/corpus/image_fuzz/") + kind));
    ASSERT_TRUE(image.ok()) << kind << ": " << image.status();
    ASSERT_EQ(image->rgb.size(), colour.size());
    const bool is_grey = std::string_view(kind) == "jpeg_grey_restarts";
    EXPECT_GE(Psnr(image->rgb, is_grey ? grey : colour), 32) << kind;
  }
}

TEST(ImageDecoderTest, EveryTruncationIsAnErrorAndNoCrash) {
  const std::string whole = ReadBytes("golden/images/rgb.png");
  ASSERT_TRUE(DecodeImage(whole).ok());
  for (size_t size = 0; size < whole.size() - 20; size += 17) {
    EXPECT_EQ(DecodeImage(whole.substr(0, size)).status().code(),
              absl::StatusCode::kInvalidArgument)
        << size;
  }
}

TEST(ImageDecoderTest, SizesAreRefusedFromTheHeader) {
  std::string file = ReadBytes("golden/images/rgb.png");
  file.replace(16, 17, std::string("\0\0\x20\x01\0\0\0\x10\x08\x02\0\0\0\xde\x61\x0d\x37", 17));
  EXPECT_THAT(std::string(DecodeImage(file).status().message()), HasSubstr("8193 x 16"));
}

TEST(ImageDecoderTest, OtherBytesAreRefused) {
  for (const char* bytes : {"", "GIF89a", "\xff\xd8", "plain text"}) {
    EXPECT_EQ(DecodeImage(bytes).status().code(), absl::StatusCode::kInvalidArgument) << bytes;
  }
}

}  // namespace
}  // namespace cogwheel
