#include "worker/rpc/chunk_writer.h"

#include <vector>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

struct Piece {
  int64_t offset;
  std::string data;
  friend bool operator==(const Piece&, const Piece&) = default;
};

TEST(ChunkWriterTest, CutsAtTheBoundAndDigestsAll) {
  std::vector<Piece> pieces;
  ChunkWriter writer(4, [&](int64_t offset, std::string data) {
    pieces.push_back({offset, std::move(data)});
    return absl::OkStatus();
  });
  EXPECT_TRUE(writer.Write("ab").ok());
  EXPECT_TRUE(pieces.empty());
  EXPECT_TRUE(writer.Write("cdefghijk").ok());
  EXPECT_TRUE(writer.Flush().ok());
  EXPECT_TRUE(writer.Flush().ok());
  EXPECT_EQ(pieces, (std::vector<Piece>{{0, "abcd"}, {4, "efgh"}, {8, "ijk"}}));
  EXPECT_EQ(writer.size_bytes(), 11);
  EXPECT_EQ(writer.HexDigest(), Sha256Hex("abcdefghijk"));
}

TEST(ChunkWriterTest, AReaderThatFailsEndsIt) {
  ChunkWriter writer(2, [](int64_t, std::string) { return absl::UnavailableError("gone"); });
  EXPECT_TRUE(writer.Write("a").ok());
  EXPECT_TRUE(absl::IsUnavailable(writer.Write("bcd")));
}

}  // namespace
}  // namespace cogwheel
