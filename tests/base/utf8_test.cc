#include "base/utf8.h"

#include <string>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// C0, DEL and C1 (two bytes of UTF-8): what moves a terminal's cursor.
TEST(Utf8, ControlCharactersAreReplaced) {
  const std::string text =
      "a\nb\x1b[31m\x7f\xc2\x9b"
      "31m\xc2\x80\xc2\x9f\xc2\xa0é/ü";
  EXPECT_TRUE(HasControlCharacter("\xc2\x9b"));
  EXPECT_FALSE(HasControlCharacter("\xc2\xa0é/ü"));
  EXPECT_EQ(WithoutControls(text), "a b [31m  31m  \xc2\xa0é/ü");
  EXPECT_EQ(WithoutControls(std::string("\0\xc2", 2)), " \xc2");
}

}  // namespace
}  // namespace cogwheel
