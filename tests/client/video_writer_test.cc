#include "client/video_writer.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

// printf 'hello world' | sha256sum
constexpr char kHelloSha256[] = "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9";
constexpr char kEmptySha256[] = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

class VideoWriterTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string name = fs::temp_directory_path() / "video_writer_XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  int FileCount() const {
    return static_cast<int>(std::distance(fs::directory_iterator(folder_), {}));
  }
  static std::string Content(const fs::path& path) {
    std::stringstream text;
    text << std::ifstream(path).rdbuf();
    return text.str();
  }

  fs::path folder_;
};

TEST_F(VideoWriterTest, TheFileAppearsWithCommitOnly) {
  const fs::path output = folder_ / "a.mp4";
  auto writer = VideoWriter::Create(output);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_TRUE((*writer)->Write(0, "hello ").ok());
  EXPECT_TRUE((*writer)->Write(6, "world").ok());
  EXPECT_FALSE(fs::exists(output));
  EXPECT_TRUE((*writer)->Check(11, kHelloSha256).ok());
  EXPECT_TRUE((*writer)->Commit().ok());
  writer->reset();
  EXPECT_EQ(Content(output), "hello world");
  EXPECT_EQ(FileCount(), 1);
}

TEST_F(VideoWriterTest, NothingStaysWithoutCommit) {
  {
    auto writer = VideoWriter::Create(folder_ / "a.mp4");
    ASSERT_TRUE(writer.ok());
    EXPECT_TRUE((*writer)->Write(0, "half").ok());
    EXPECT_EQ(FileCount(), 1) << "the temporary file is in the output's folder";
  }
  EXPECT_EQ(FileCount(), 0);
}

TEST_F(VideoWriterTest, AnOlderFileStaysUntilTheNewOneIsComplete) {
  const fs::path output = folder_ / "a.mp4";
  std::ofstream(output) << "old";
  {
    auto writer = VideoWriter::Create(output);
    ASSERT_TRUE((*writer)->Write(0, "new").ok());
    EXPECT_EQ(Content(output), "old");
  }
  EXPECT_EQ(Content(output), "old");
  auto writer = VideoWriter::Create(output);
  ASSERT_TRUE((*writer)->Write(0, "new").ok());
  ASSERT_TRUE((*writer)->Commit().ok());
  EXPECT_EQ(Content(output), "new");
}

TEST_F(VideoWriterTest, PiecesMayOverlapButLeaveNoGap) {
  auto writer = VideoWriter::Create(folder_ / "a.mp4");
  EXPECT_TRUE((*writer)->Write(0, "hello ").ok());
  EXPECT_TRUE((*writer)->Write(0, "hello").ok()) << "known already";
  EXPECT_TRUE((*writer)->Write(3, "lo world").ok()) << "the first three bytes are known";
  EXPECT_EQ((*writer)->size(), 11);
  EXPECT_TRUE((*writer)->Check(11, kHelloSha256).ok());
  EXPECT_TRUE(absl::IsOutOfRange((*writer)->Write(12, "x")));
  EXPECT_TRUE(absl::IsOutOfRange((*writer)->Write(-1, "x")));
}

TEST_F(VideoWriterTest, RestartForgets) {
  auto writer = VideoWriter::Create(folder_ / "a.mp4");
  EXPECT_TRUE((*writer)->Write(0, "something longer than that").ok());
  EXPECT_TRUE((*writer)->Restart().ok());
  EXPECT_TRUE((*writer)->Check(0, kEmptySha256).ok());
  EXPECT_TRUE((*writer)->Write(0, "hello world").ok());
  EXPECT_TRUE((*writer)->Check(11, kHelloSha256).ok());
}

TEST_F(VideoWriterTest, CheckTellsSizeAndHash) {
  auto writer = VideoWriter::Create(folder_ / "a.mp4");
  ASSERT_TRUE((*writer)->Write(0, "hello World").ok());
  EXPECT_TRUE(absl::IsDataLoss((*writer)->Check(11, kHelloSha256)));
  EXPECT_TRUE(absl::IsDataLoss((*writer)->Check(12, kHelloSha256)));
}

TEST_F(VideoWriterTest, RefusesWhatCannotBeWritten) {
  const auto refusal = [](const fs::path& output) {
    const auto writer = VideoWriter::Create(output);
    EXPECT_TRUE(absl::IsFailedPrecondition(writer.status())) << output;
    return std::string(writer.status().message());
  };
  std::ofstream(folder_ / "file") << "x";
  EXPECT_THAT(refusal(folder_ / "missing" / "a.mp4"), HasSubstr("missing does not exist"));
  EXPECT_THAT(refusal(folder_ / "my dir's" / "a.mp4"),
              HasSubstr("; mkdir -p -- '" + (folder_ / "my dir'\\''s'").string() + " makes it"));
  EXPECT_THAT(refusal(folder_), HasSubstr("is a folder"));
  EXPECT_THAT(refusal(folder_ / ""), HasSubstr("is a folder"));
  EXPECT_THAT(refusal(folder_ / "file" / "a.mp4"), HasSubstr("is not a folder"));
  EXPECT_THAT(refusal("/dev/null"), HasSubstr("not a regular file"));
  EXPECT_THAT(refusal("/proc/a.mp4"), HasSubstr("cannot be written"));
  EXPECT_THAT(refusal(folder_ / std::string(300, 'x')), HasSubstr("cannot be written"));
  EXPECT_EQ(FileCount(), 1);
  // As /dev/stdout is one to a file when a shell sends it there.
  fs::create_symlink(folder_ / "file", folder_ / "link");
  fs::create_symlink(folder_ / "nothing", folder_ / "dangling");
  EXPECT_THAT(refusal(folder_ / "link"), HasSubstr("link: is a symbolic link"));
  EXPECT_THAT(refusal(folder_ / "dangling"), HasSubstr("dangling: is a symbolic link"));
  EXPECT_TRUE(fs::is_symlink(folder_ / "link"));
  EXPECT_EQ(FileCount(), 3);
}

}  // namespace
}  // namespace cogwheel
