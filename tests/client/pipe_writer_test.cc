#include "client/pipe_writer.h"

#include <csignal>
#include <cstdlib>

#include <fcntl.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"

namespace cogwheel {
namespace {

using ::testing::HasSubstr;

class PipeWriterTest : public ::testing::Test {
 protected:
  PipeWriterTest() {
    std::signal(SIGPIPE, SIG_IGN);  // as the program does
    EXPECT_EQ(0, pipe2(ends_, O_CLOEXEC | O_NONBLOCK));
    writer_ = PipeWriter::Create(ends_[1]).value();
  }
  ~PipeWriterTest() override {
    close(ends_[1]);
    CloseReader();
  }
  void CloseReader() {
    if (ends_[0] >= 0) close(ends_[0]);
    ends_[0] = -1;
  }
  std::string Arrived() const {
    std::string bytes(4096, '\0');
    bytes.resize(std::max<ssize_t>(0, read(ends_[0], bytes.data(), bytes.size())));
    return bytes;
  }

  int ends_[2] = {-1, -1};
  std::unique_ptr<PipeWriter> writer_;
};

TEST_F(PipeWriterTest, BytesGoOnAtOnceAndOnce) {
  EXPECT_TRUE(writer_->Write(0, "hello ").ok());
  EXPECT_EQ(Arrived(), "hello ");
  EXPECT_TRUE(writer_->Write(3, "lo world").ok());
  EXPECT_EQ(Arrived(), "world");
  EXPECT_TRUE(absl::IsOutOfRange(writer_->Write(12, "x")));
  EXPECT_EQ(writer_->temporary(), "");
  EXPECT_TRUE(absl::IsDataLoss(writer_->Check(12, Sha256Hex("hello world"))));
  EXPECT_TRUE(writer_->Check(11, Sha256Hex("hello world")).ok());
  EXPECT_TRUE(writer_->Commit().ok());
}

TEST_F(PipeWriterTest, OtherBytesAreNoResult) {
  EXPECT_TRUE(writer_->Write(0, "HELLO").ok());
  EXPECT_TRUE(absl::IsDataLoss(writer_->Check(5, Sha256Hex("hello"))));
}

TEST_F(PipeWriterTest, WhatWasWrittenCannotBeTakenBack) {
  EXPECT_TRUE(writer_->Restart().ok());
  EXPECT_TRUE(writer_->Write(0, "hello").ok());
  EXPECT_TRUE(absl::IsDataLoss(writer_->Restart()));
}

TEST_F(PipeWriterTest, AReaderThatIsGoneIsAnErrorOfTheOutput) {
  CloseReader();
  const absl::Status broken = writer_->Write(0, "hello");
  EXPECT_TRUE(absl::IsFailedPrecondition(broken)) << broken;
  EXPECT_THAT(std::string(broken.message()), HasSubstr("output -: standard output cannot be"));
}

TEST_F(PipeWriterTest, ATerminalIsNoPlaceForBytes) {
  const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
  ASSERT_GE(terminal, 0);
  const auto refused = PipeWriter::Create(terminal);
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status()));
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("is a terminal"));
  close(terminal);
}

}  // namespace
}  // namespace cogwheel
