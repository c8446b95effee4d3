#include "base/fnv.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

// The vectors of the algorithm's authors (RFC 9923, 64-bit FNV-1a).
TEST(FnvTest, IsFnv1a) {
  Fnv fnv;
  EXPECT_EQ(fnv.hash(), 0xcbf29ce484222325);
  fnv.AddNumber('a');
  EXPECT_EQ(fnv.hash(), 0xaf63dc4c8601ec8c);
  Fnv word;
  for (const char letter : {'f', 'o', 'o', 'b', 'a', 'r'}) word.AddNumber(letter);
  EXPECT_EQ(word.hash(), 0x85944171f73967e8);
}

// "ab" and "c" are not "a" and "bc".
TEST(FnvTest, TextsAreKeptApart) {
  Fnv one, other;
  one.AddText("ab");
  one.AddText("c");
  other.AddText("a");
  other.AddText("bc");
  EXPECT_NE(one.hash(), other.hash());
}

}  // namespace
}  // namespace cogwheel
