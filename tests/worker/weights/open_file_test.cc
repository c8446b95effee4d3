// What is thrown tells a file that is wrong from a disk that failed. /proc/self/mem is a file whose
// first byte cannot be read: EIO without a broken disk.
#include "worker/weights/open_file.h"

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <sys/resource.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StrEq;
using testing::ThrowsMessage;

constexpr char kUnreadable[] = "/proc/self/mem";

class OpenFileTest : public testing::Test {
 protected:
  void SetUp() override {
    dir_ = std::filesystem::temp_directory_path() /
           ("cogwheel-file-" + std::to_string(getpid()) + "-" +
            testing::UnitTest::GetInstance()->current_test_info()->name());
    std::filesystem::create_directories(dir_);
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string Path(const std::string& name) const { return (dir_ / name).string(); }
  std::string Write(const std::string& name, const std::string& bytes) const {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return Path(name);
  }
  std::filesystem::path dir_;
  std::array<std::byte, 8> bytes_;
};

TEST_F(OpenFileTest, ReadsWhatIsThere) {
  const OpenFile file(Write("a", "0123456789"));
  EXPECT_EQ(file.bytes(), 10);
  file.Read(2, bytes_);
  EXPECT_EQ(bytes_.back(), std::byte{'9'});
  EXPECT_EQ(file.ReadSome(7, bytes_), 3u);
  EXPECT_EQ(file.ReadSome(10, bytes_), 0u);
  EXPECT_EQ(ReadSmallFile(file.path()), "0123456789");
  EXPECT_EQ(ReadSmallFile(Write("empty", "")), "");
}

TEST_F(OpenFileTest, AFailedReadNamesFileOffsetAndCause) {
  const OpenFile file(kUnreadable);
  EXPECT_THAT([&] { file.Read(0, bytes_); },
              ThrowsMessage<ReadError>(
                  StrEq("/proc/self/mem cannot be read at byte 0: Input/output error")));
  std::filesystem::create_symlink(kUnreadable, Path("config.json"));
  EXPECT_THAT([&] { ReadSmallFile(Path("config.json")); },
              ThrowsMessage<ReadError>(AllOf(HasSubstr(Path("config.json")), HasSubstr("byte 0"),
                                             HasSubstr("Input/output error"))));
}

// Somebody replaces it: what comes of it is judged by a fresh start.
TEST_F(OpenFileTest, AFileCutOffMeanwhileIsAFailedRead) {
  const OpenFile file(Write("a", "0123456789"));
  std::filesystem::resize_file(file.path(), 5);
  EXPECT_THAT(
      [&] { file.Read(2, bytes_); },
      ThrowsMessage<ReadError>(AllOf(HasSubstr(file.path()), HasSubstr("now ends at byte 5"))));
}

TEST_F(OpenFileTest, WrongPathsAreRefused) {
  EXPECT_THAT([&] { OpenFile file(Path("gone")); },
              ThrowsMessage<std::invalid_argument>(
                  StrEq(Path("gone") + " cannot be opened: No such file or directory")));
  EXPECT_THAT([&] { ReadSmallFile(Path("gone")); },
              ThrowsMessage<std::invalid_argument>(StrEq(Path("gone") + " is missing")));
  EXPECT_THAT([&] { OpenFile file(Write("a", "x") + "/b"); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("Not a directory")));
  EXPECT_THAT([&] { OpenFile(dir_.string()).Read(0, bytes_); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("Is a directory")));
  EXPECT_THROW(ReadSmallFile(dir_.string()), std::invalid_argument);
  if (geteuid() == 0) return;  // who may read everything
  std::filesystem::permissions(Path("a"), std::filesystem::perms::none);
  EXPECT_THAT([&] { OpenFile file(Path("a")); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("Permission denied")));
}

TEST_F(OpenFileTest, OnlyErrorsOfThePathStay) {
  const auto wrong = [](int error) { return IsWrongPath({error, std::generic_category()}); };
  for (const int error : {ENOENT, ENOTDIR, EISDIR, EACCES, EPERM, ELOOP, ENAMETOOLONG}) {
    EXPECT_TRUE(wrong(error)) << error;
  }
  for (const int error : {EIO, ESTALE, ETIMEDOUT, ENXIO, ENODEV, EREMOTEIO, EAGAIN, EMFILE, ENFILE,
                          ENOMEM, EHOSTDOWN, ECONNRESET}) {
    EXPECT_FALSE(wrong(error)) << error;
  }
}

TEST_F(OpenFileTest, WantOfDescriptorsIsNoFaultOfTheFile) {
  const std::string path = Write("a", "x");
  rlimit before = {};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  rlimit none = before;
  none.rlim_cur = 0;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  EXPECT_THAT([&] { OpenFile file(path); },
              ThrowsMessage<ReadError>(HasSubstr("Too many open files")));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
}

TEST_F(OpenFileTest, SmallFilesHaveALimit) {
  const std::string path = Write("a", "x");
  std::filesystem::resize_file(path, 16 << 20);
  EXPECT_EQ(ReadSmallFile(path).size(), 16u << 20);
  std::filesystem::resize_file(path, (16 << 20) + 1);
  EXPECT_THAT([&] { ReadSmallFile(path); },
              ThrowsMessage<std::invalid_argument>(HasSubstr("larger than 16777216 bytes")));
}

}  // namespace
}  // namespace cogwheel
