#include "base/crc32c.h"

#include <string>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

uint32_t Of(const std::string& text) { return Crc32c(std::as_bytes(std::span(text))); }

// RFC 3720 B.4, and the check value of the CRC catalogue.
TEST(Crc32c, KnownValues) {
  std::string rising;
  for (char c = 0; c < 32; ++c) rising += c;
  EXPECT_EQ(Of(""), 0u);
  EXPECT_EQ(Of("123456789"), 0xE3069283u);
  EXPECT_EQ(Of(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Of(std::string(32, '\xff')), 0x62A8AB43u);
  EXPECT_EQ(Of(rising), 0x46DD794Eu);
  EXPECT_EQ(Of(std::string(rising.rbegin(), rising.rend())), 0x113FDB5Cu);
}

TEST(Crc32c, PiecesJoinToTheWhole) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * i + i / 7);
  for (const size_t cut : {0, 1, 7, 8, 9, 500, 999, 1000}) {
    EXPECT_EQ(JoinCrc32c(Of(text.substr(0, cut)), Of(text.substr(cut)), text.size() - cut),
              Of(text))
        << cut;
  }
}

}  // namespace
}  // namespace cogwheel
