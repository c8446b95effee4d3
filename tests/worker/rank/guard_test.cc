#include "worker/rank/guard.h"

#include <cerrno>
#include <filesystem>
#include <new>
#include <stdexcept>

#include <gtest/gtest.h>

#include "worker/comm/communicator.h"
#include "worker/pipeline/pipeline.h"
#include "worker/weights/open_file.h"

namespace cogwheel {
namespace {

std::filesystem::filesystem_error FileError(int error) {
  return {"status", "/model/vae", std::error_code(error, std::generic_category())};
}

TEST(GuardTest, EveryKindOfFailureHasItsStatus) {
  struct Row {
    std::function<void()> work;
    absl::StatusCode code;
    const char* message;
  };
  const Row rows[] = {
      {[] {}, absl::StatusCode::kOk, ""},
      {[] { throw std::invalid_argument("two\nlines/model_index.json is missing"); },
       absl::StatusCode::kInvalidArgument, "two?lines/model_index.json is missing"},
      {[] { throw ReadError("two\nlines cannot be read at byte 7: Stale file handle"); },
       absl::StatusCode::kUnavailable, "two?lines cannot be read at byte 7: Stale file handle"},
      {[] { throw FileError(EIO); }, absl::StatusCode::kUnavailable,
       "filesystem error: status: Input/output error [/model/vae]"},
      {[] { throw FileError(ENOENT); }, absl::StatusCode::kInvalidArgument,
       "filesystem error: status: No such file or directory [/model/vae]"},
      {[] { throw std::bad_alloc(); }, absl::StatusCode::kResourceExhausted,
       "no memory was left for an allocation"},
      {[] { throw WorkAbandoned("out of memory: decode on rank 3: x"); },
       absl::StatusCode::kResourceExhausted, "out of memory: decode on rank 3: x"},
      {[] { throw std::runtime_error("CUDA error: out of memory"); },
       absl::StatusCode::kResourceExhausted, "CUDA error: out of memory"},
      {[] { throw CommError("rank 1 is gone"); }, absl::StatusCode::kUnavailable, "rank 1 is gone"},
      {[] { throw CommError("out of step: x"); }, absl::StatusCode::kUnavailable, "out of step: x"},
      {[] { throw JobCancelled(/*stop=*/false); }, absl::StatusCode::kCancelled,
       "the job was cancelled"},
      {[] { throw JobCancelled(/*stop=*/true); }, absl::StatusCode::kAborted,
       "the group is stopping"},
      {[] { throw NotFinite("not finite: step 2 of 9 on rank 1"); }, absl::StatusCode::kInternal,
       "not finite: step 2 of 9 on rank 1"},
      {[] { throw std::runtime_error("odd"); }, absl::StatusCode::kInternal, "odd"},
      {[] { throw 7; }, absl::StatusCode::kInternal, "an exception of unknown type"},
  };
  for (const Row& row : rows) {
    const absl::Status status = Guard(row.work);
    EXPECT_EQ(status.code(), row.code);
    EXPECT_EQ(status.message(), row.message);
  }
}

// Told apart without a look at the words.
TEST(GuardTest, ReasonsAreMarked) {
  EXPECT_EQ(ReasonOf(Guard([] { throw CommError("out of step: x"); })), "OUT_OF_STEP");
  EXPECT_EQ(ReasonOf(Guard([] { throw CommError("rank 1 is gone"); })), "");
  EXPECT_EQ(ReasonOf(Guard([] { throw std::bad_alloc(); })), "OUT_OF_MEMORY");
  EXPECT_EQ(ReasonOf(Guard([] { throw NotFinite("x"); })), "NOT_FINITE");
  EXPECT_TRUE(LeftTogether(Guard([] { throw NotFinite("x"); })));
  EXPECT_TRUE(LeftTogether(Guard([] { throw WorkAbandoned("x"); })));
  EXPECT_FALSE(LeftTogether(Guard([] { throw std::bad_alloc(); })));  // nobody else knows yet
}

}  // namespace
}  // namespace cogwheel
