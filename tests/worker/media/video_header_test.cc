// What a player learns of a clip before its first frame: the H.264 level, and how long it is.
#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "worker/media/av_handles.h"
#include "worker/media/h264_level.h"
#include "worker/media/mp4_header.h"
#include "worker/media/video_encoder.h"

namespace cogwheel {
namespace {

std::string Encode(const VideoFormat& format, int noise_from = 1 << 30) {
  std::string file;
  auto encoder = VideoEncoder::Create(format, [&file](std::span<const uint8_t> bytes) {
    file.append(bytes.begin(), bytes.end());
    return absl::OkStatus();
  });
  EXPECT_TRUE(encoder.ok()) << encoder.status();
  unsigned chance = 1;
  for (int i = 0; i < format.frames; ++i) {
    std::vector<uint8_t> rgb(static_cast<size_t>(format.width) * format.height * 3, 90);
    for (uint8_t& value : rgb) {
      chance = chance * 1664525 + 1013904223;
      if (i >= noise_from) value = chance >> 31 == 0 ? 0 : 255;
    }
    EXPECT_TRUE((*encoder)->AddFrame(rgb).ok());
  }
  EXPECT_TRUE((*encoder)->Finish().ok());
  return file;
}

// What is behind each sequence parameter set's head, wherever one stands: profile, constraints,
// level.
std::vector<int> Levels(const std::string& file) {
  std::vector<int> levels;
  const std::string baseline = "\x67\x42\xc0";
  for (size_t at = file.find(baseline); at != std::string::npos; at = file.find(baseline, at + 1)) {
    levels.push_back(static_cast<uint8_t>(file[at + 3]));
  }
  return levels;
}

// Of the avcC box: what a player looks at first.
int AnnouncedLevel(const std::string& file) {
  const size_t box = file.find("avcC");
  return box == std::string::npos ? 0 : static_cast<uint8_t>(file[box + 7]);
}

struct Seconds {
  double of_file = 0, of_track = 0;
  bool operator==(const Seconds&) const = default;
};

// As FFmpeg's demuxer tells them from so many bytes of the file.
Seconds Durations(const std::string& file, size_t bytes) {
  const std::string path = ::testing::TempDir() + "/header.mp4";
  std::ofstream(path, std::ios::binary) << file.substr(0, bytes);
  AVFormatContext* opened = nullptr;
  EXPECT_EQ(avformat_open_input(&opened, path.c_str(), nullptr, nullptr), 0);
  if (opened == nullptr) return {};
  EXPECT_GE(avformat_find_stream_info(opened, nullptr), 0);
  const AVStream* stream = opened->streams[0];
  const Seconds seconds = {static_cast<double>(opened->duration) / AV_TIME_BASE,
                           static_cast<double>(stream->duration) * av_q2d(stream->time_base)};
  avformat_close_input(&opened);
  std::remove(path.c_str());
  return seconds;
}

// H.264, table A-1: macroblocks of a frame and a second, at twice the clip's rate.
TEST(H264LevelTest, IsTheLowestThatHoldsSizeAndRate) {
  EXPECT_EQ(LevelFor(128, 96, 8), 10);
  EXPECT_EQ(LevelFor(720, 480, 8), 30);
  EXPECT_EQ(LevelFor(480, 720, 8), 30);
  EXPECT_EQ(LevelFor(1360, 768, 16), 32);
  // 99 macroblocks are 1.0's most: by rate 1485 / 99 / 2 = 7.5.
  EXPECT_EQ(LevelFor(176, 144, 7), 10);
  EXPECT_EQ(LevelFor(176, 144, 8), 11);
  EXPECT_EQ(LevelFor(176, 160, 1), 11);
  EXPECT_EQ(LevelFor(352, 288, 15), 13);
  EXPECT_EQ(LevelFor(256, 256, 8), 12);
  EXPECT_EQ(LevelFor(1280, 720, 15), 31);
  EXPECT_EQ(LevelFor(1920, 1088, 15), 40);
  EXPECT_EQ(LevelFor(130, 98, 8), 10);  // part of a macroblock is one
  EXPECT_EQ(LevelFor(640, 16, 1), 11);  // 40 in a row: sqrt(8 · 99) = 28.1 are too few
  EXPECT_EQ(LevelFor(16, 640, 1), 11);
  EXPECT_EQ(LevelFor(16384, 16384, 120), 62);  // nothing holds it: the highest
}

TEST(H264LevelTest, EverySequenceParameterSetNamesIt) {
  for (const VideoFormat& format :
       {VideoFormat{128, 96, 8, 17}, VideoFormat{176, 144, 8, 9}, VideoFormat{720, 480, 8, 2}}) {
    const int level = LevelFor(format.width, format.height, format.fps);
    const std::string file = Encode(format);
    EXPECT_EQ(AnnouncedLevel(file), level);
    EXPECT_THAT(Levels(file), testing::Each(level));
    EXPECT_GE(Levels(file).size(), 1);
  }
}

// The encoder is opened anew for a frame that is too noisy.
TEST(H264LevelTest, ACoarserQuantiserHasTheSame) {
  const std::string file = Encode({.width = 128, .height = 96, .fps = 8, .frames = 12},
                                  /*noise_from=*/5);
  EXPECT_EQ(AnnouncedLevel(file), 10);
  EXPECT_THAT(Levels(file), testing::Each(10));
}

TEST(Mp4HeaderTest, TellsTheWholeDurationFromTheStart) {
  for (const auto& [frames, fps] : {std::pair{17, 8}, {1, 8}, {49, 8}, {81, 16}, {9, 30}, {5, 7}}) {
    const VideoFormat format = {.width = 64, .height = 48, .fps = fps, .frames = frames};
    const std::string file = Encode(format);
    const Seconds all = Durations(file, file.size());
    EXPECT_NEAR(all.of_file, static_cast<double>(frames) / fps, 1e-6) << frames << "/" << fps;
    EXPECT_NEAR(all.of_track, static_cast<double>(frames) / fps, 1e-4) << frames << "/" << fps;
  }
}

TEST(Mp4HeaderTest, APartOfTheFileTellsItToo) {
  const std::string file = Encode({.width = 64, .height = 48, .fps = 8, .frames = 17});
  const size_t second = file.find("moof", file.find("moof") + 4) - 4;
  const Seconds part = Durations(file, second);
  EXPECT_NEAR(part.of_file, 2.125, 1e-6);
  EXPECT_NEAR(part.of_track, 2.125, 1e-6);
}

TEST(Mp4HeaderTest, HasAMovieExtendsHeader) {
  const std::string file = Encode({.width = 64, .height = 48, .fps = 8, .frames = 17});
  const size_t extends = file.find("mvex"), header = file.find("mehd");
  ASSERT_NE(header, std::string::npos);
  EXPECT_EQ(header, extends + 8);  // the first in it
  const auto field = [&file](size_t at) {
    uint32_t value = 0;
    for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(file[at + i]);
    return value;
  };
  const uint32_t time_scale = field(file.find("mvhd") + 16);
  EXPECT_EQ(field(header + 8) * 8, 17 * time_scale);
  EXPECT_EQ(field(header - 4), 16);
}

// Offsets of fragments are FFmpeg's, which knows nothing of what was added to the head.
TEST(Mp4HeaderTest, NoIndexOfFragmentsFollows) {
  for (const int frames : {1, 16, 17}) {
    const std::string file = Encode({.width = 64, .height = 48, .fps = 8, .frames = frames});
    EXPECT_EQ(file.find("mfra"), std::string::npos) << frames;
    EXPECT_EQ(file.find("tfra"), std::string::npos) << frames;
  }
}

TEST(Mp4HeaderTest, OtherHeadersAreRefused) {
  const std::string file = Encode({.width = 64, .height = 48, .fps = 8, .frames = 1});
  const std::string head = file.substr(0, file.find("moof") - 4);
  EXPECT_TRUE(WithDuration(head, 1, 8).ok());
  for (const size_t size : {size_t{0}, size_t{7}, head.size() / 2, head.size() - 1}) {
    EXPECT_FALSE(WithDuration(head.substr(0, size), 1, 8).ok()) << size;
  }
  for (const char* box : {"mvhd", "tkhd", "mdhd", "mvex", "trak"}) {
    std::string other = head;
    other.replace(other.find(box), 4, "free");
    EXPECT_FALSE(WithDuration(other, 1, 8).ok()) << box;
  }
}

}  // namespace
}  // namespace cogwheel
