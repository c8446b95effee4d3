#include "server/dispatch/input_keeper.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "proto/contract/image_header.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "tests/support/fake_clock.h"
#include "tests/support/memory_input_rows.h"
#include "tests/support/memory_inputs.h"
#include "tests/support/test_model.h"

namespace cogwheel {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr int64_t kMebibyte = 1024 * 1024;

class InputKeeperTest : public testing::Test {
 protected:
  static v1::Chunk Piece(int64_t offset, const std::string& data, bool last = false) {
    v1::Chunk piece;
    piece.set_offset(offset);
    piece.set_data(data);
    piece.set_last(last);
    return piece;
  }
  static absl::StatusOr<v1::Input> Keep(Upload& upload) {
    return Await<absl::StatusOr<v1::Input>>(
        [&upload](Answer<v1::Input> done) { upload.Keep(std::move(done)); });
  }
  // In pieces of the largest size.
  absl::StatusOr<v1::Input> Send(const std::string& bytes, const std::string& tenant = "a") {
    const std::unique_ptr<Upload> upload = keeper_.Begin(tenant);
    for (size_t offset = 0; offset < bytes.size(); offset += kMaxChunkBytes) {
      const bool last = offset + kMaxChunkBytes >= bytes.size();
      const absl::Status taken = upload->Take(
          Piece(static_cast<int64_t>(offset), bytes.substr(offset, kMaxChunkBytes), last));
      if (!taken.ok()) return taken;
    }
    return Keep(*upload);
  }
  int64_t counted() const { return ledger_.load().bytes; }

  FakeClock clock_;
  MemoryInputs inputs_;
  MemoryInputRows rows_;
  AdmissionLedger ledger_{{.jobs = 1, .bytes = 4 * kMebibyte, .seconds = 10}};
  InputKeeper keeper_{{inputs_, rows_, ledger_, clock_}};
};

TEST_F(InputKeeperTest, KeepsWhatComesUnderItsDigestForADay) {
  const std::string bytes(600'000, 'b');  // three pieces
  const v1::Input input = Send(bytes).value();
  EXPECT_EQ(Sha256Hex(bytes), input.sha256());
  EXPECT_EQ("inputs/" + Sha256Hex(bytes), input.name());
  EXPECT_EQ(600'000, input.size_bytes());
  const auto expires = clock_.Wall().time_since_epoch() + hours(24);
  EXPECT_EQ(std::chrono::duration_cast<seconds>(expires).count(), input.expire_time().seconds());
  EXPECT_EQ(bytes, *inputs_.inputs.at(input.sha256()));
}

TEST_F(InputKeeperTest, EachPieceBeginsWhereTheOneBeforeEnded) {
  const std::unique_ptr<Upload> upload = keeper_.Begin("a");
  ASSERT_TRUE(upload->Take(Piece(0, "abc")).ok());
  for (const int64_t offset : {0, 2, 4, -1}) {
    const absl::Status refused = upload->Take(Piece(offset, "d"));
    EXPECT_EQ("INPUT", ErrorReason(refused));
    EXPECT_THAT(std::string(refused.message()), HasSubstr("legal is 3"));
  }
}

TEST_F(InputKeeperTest, APieceHasBytesAndNotTooMany) {
  const std::unique_ptr<Upload> upload = keeper_.Begin("a");
  EXPECT_THAT(std::string(upload->Take(Piece(0, "")).message()), HasSubstr("data is empty"));
  EXPECT_THAT(std::string(upload->Take(Piece(0, "", /*last=*/true)).message()),
              HasSubstr("data is empty"));
  EXPECT_THAT(std::string(upload->Take(Piece(0, std::string(kMaxChunkBytes + 1, 'x'))).message()),
              HasSubstr("at most 262144 are legal"));
  EXPECT_TRUE(upload->Take(Piece(0, std::string(kMaxChunkBytes, 'x'))).ok());
  EXPECT_TRUE(upload->Take(Piece(kMaxChunkBytes, "", /*last=*/true)).ok());
  EXPECT_TRUE(upload->complete());
}

TEST_F(InputKeeperTest, WhatIsStatedOfTheWholeIsChecked) {
  v1::Chunk piece = Piece(0, "abc", /*last=*/true);
  piece.set_sha256(Sha256Hex("abd"));
  const absl::Status digest = keeper_.Begin("a")->Take(piece);
  EXPECT_EQ("INPUT", ErrorReason(digest));
  EXPECT_THAT(std::string(digest.message()), HasSubstr("which is " + Sha256Hex("abc")));
  piece.set_sha256(Sha256Hex("abc"));
  piece.set_size_bytes(4);
  EXPECT_THAT(std::string(keeper_.Begin("a")->Take(piece).message()),
              HasSubstr("size_bytes 4 is not how many came, which is 3"));
  piece.set_size_bytes(3);
  EXPECT_TRUE(keeper_.Begin("a")->Take(piece).ok());
  EXPECT_THAT(inputs_.inputs, IsEmpty()) << "before Keep";
}

TEST(UploadTest, MoreThanSixtyFourMebibytesAreRefused) {
  FakeClock clock;
  MemoryInputs inputs;
  MemoryInputRows rows;
  AdmissionLedger ledger({.jobs = 1, .bytes = 256 * kMebibyte, .seconds = 10});
  InputKeeper keeper({inputs, rows, ledger, clock});
  const std::unique_ptr<Upload> upload = keeper.Begin("a");
  v1::Chunk piece;
  piece.set_data(std::string(kMaxChunkBytes, 'x'));
  for (int64_t offset = 0; offset < 64 * kMebibyte; offset += kMaxChunkBytes) {
    piece.set_offset(offset);
    ASSERT_TRUE(upload->Take(piece).ok());
  }
  piece.set_offset(64 * kMebibyte);
  piece.set_data("x");
  EXPECT_THAT(std::string(upload->Take(piece).message()), HasSubstr("at most 67108864 are legal"));
}

TEST_F(InputKeeperTest, CountsWhileItComesAndAsLongAsItIsKept) {
  {
    const std::unique_ptr<Upload> upload = keeper_.Begin("a");
    ASSERT_TRUE(upload->Take(Piece(0, std::string(200'000, 'x'))).ok());
    ASSERT_TRUE(upload->Take(Piece(200'000, std::string(200'000, 'x'))).ok());
    EXPECT_EQ(400'000, counted());
  }
  EXPECT_EQ(0, counted()) << "cut in the middle";
  ASSERT_TRUE(Send(std::string(300'000, 'x')).ok());
  EXPECT_EQ(300'000, counted());
  ASSERT_TRUE(Send(std::string(300'000, 'x')).ok());
  EXPECT_EQ(300'000, counted()) << "the same bytes of the same tenant";
  ASSERT_TRUE(Send(std::string(300'000, 'x'), "b").ok());
  EXPECT_EQ(600'000, counted());
  EXPECT_EQ(0, ledger_.load().jobs);
  ASSERT_TRUE(Send("x").ok());
  EXPECT_EQ(604'096, counted()) << "a block of the disk at least";
}

TEST_F(InputKeeperTest, IsCountedOnceAsSoonAsItIsKept) {
  const std::unique_ptr<Upload> upload = keeper_.Begin("a");
  ASSERT_TRUE(upload->Take(Piece(0, std::string(200'000, 'x'), /*last=*/true)).ok());
  ASSERT_TRUE(Keep(*upload).ok());
  EXPECT_EQ(200'000, counted());
}

TEST_F(InputKeeperTest, WhatHasNoRoomIsRefusedAndLeavesNothing) {
  ASSERT_TRUE(Send(std::string(3 * kMebibyte, 'x')).ok());
  const absl::Status refused = Send(std::string(2 * kMebibyte, 'y')).status();
  EXPECT_TRUE(absl::IsResourceExhausted(refused));
  EXPECT_TRUE(RetryAfter(refused).has_value());
  EXPECT_EQ(3 * kMebibyte, counted());
  EXPECT_EQ(1, inputs_.inputs.size());
}

TEST_F(InputKeeperTest, LetsGoOfWhatHasExpired) {
  ASSERT_TRUE(Send(std::string(300'000, 'x')).ok());
  clock_.Advance(hours(24));
  ASSERT_TRUE(keeper_.DropExpired().ok());
  EXPECT_EQ(300'000, counted());
  clock_.Advance(seconds(1));
  ASSERT_TRUE(keeper_.DropExpired().ok());
  EXPECT_EQ(0, counted());
  EXPECT_THAT(rows_.rows, IsEmpty());
}

TEST_F(InputKeeperTest, ANewProcessCountsWhatIsKept) {
  ASSERT_TRUE(Send(std::string(300'000, 'x')).ok());
  AdmissionLedger ledger({.jobs = 1, .bytes = 4 * kMebibyte, .seconds = 10});
  InputKeeper keeper({inputs_, rows_, ledger, clock_});
  ASSERT_TRUE(keeper.Recover().ok());
  EXPECT_EQ(300'000, ledger.load().bytes);
}

TEST_F(InputKeeperTest, NotesWhyItIsNoPicture) {
  const v1::Input picture = Send(PngHeader(64, 48)).value();
  EXPECT_EQ("", rows_.rows.at({"a", picture.sha256()}).image_refusal);
  const v1::Input wide = Send(PngHeader(kMaxImageSide + 1, 48)).value();
  EXPECT_THAT(rows_.rows.at({"a", wide.sha256()}).image_refusal, HasSubstr("8193"));
  const v1::Input text = Send("GIF89a is not taken").value();
  EXPECT_THAT(rows_.rows.at({"a", text.sha256()}).image_refusal, HasSubstr("PNG"));
}

TEST_F(InputKeeperTest, AStoreThatFailsLeavesNoPlace) {
  rows_.fault = MakeError(absl::StatusCode::kUnavailable, "STORE", "no");
  EXPECT_EQ("STORE", ErrorReason(Send("abc").status()));
  inputs_.fault = MakeError(absl::StatusCode::kResourceExhausted, "STORE_FULL", "full");
  EXPECT_EQ("STORE_FULL", ErrorReason(Send("abc").status()));
  EXPECT_EQ(0, counted());
}

}  // namespace
}  // namespace cogwheel
