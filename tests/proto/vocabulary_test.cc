#include "proto/contract/vocabulary.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/utf8.h"

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(WordsOfTest, RunsOfLettersAndDigits) {
  EXPECT_THAT(WordsOf("a red circle"), ElementsAre("a", "red", "circle"));
  EXPECT_THAT(WordsOf(" (one);\ttwo,three...\n"), ElementsAre("one", "two", "three"));
  EXPECT_THAT(WordsOf("highly-detailed, 4k 1.5 snake_case"),
              ElementsAre("highly", "detailed", "4k", "1", "5", "snake", "case"));
  EXPECT_THAT(WordsOf(""), IsEmpty());
  EXPECT_THAT(WordsOf("... -- !? \x01\x7f"), IsEmpty());
}

TEST(WordsOfTest, OnlyTheCapitalThatBeginsASentenceIsMadeSmall) {
  EXPECT_THAT(WordsOf("A Red circle, RED. It moves! UP"),
              ElementsAre("a", "Red", "circle", "RED", "it", "moves", "uP"));
  EXPECT_THAT(WordsOf("«Éclair? Ärger. Ωmega… Жук。Ёж"),
              ElementsAre("éclair", "ärger", "ωmega", "жук", "ёж"));
  EXPECT_EQ(InSmallLetters("A Red CIRCLE, ÀÞ ΑΩΆΈ АЯЁ ×ß红"), "a red circle, àþ αωάέ аяё ×ß红");
}

TEST(WordsOfTest, AnApostropheInsideBelongsToTheWord) {
  EXPECT_THAT(WordsOf("it's dogs' 'quoted' don\u2019t a''b '"),
              ElementsAre("it's", "dogs", "quoted", "don't", "a", "b"));
}

TEST(WordsOfTest, OtherScriptsAndPictures) {
  EXPECT_THAT(WordsOf("红色的圆，向右。 한글 กขค"), ElementsAre("红色的圆", "向右", "한글", "กขค"));
  EXPECT_THAT(WordsOf("«été»\u00a0¿qué? \u2014 \u201ca\u201d"), ElementsAre("été", "qué", "a"));
  EXPECT_THAT(WordsOf("a ❤\ufe0f \U0001F408\u200d⬛ cat"),
              ElementsAre("a", "❤", "\U0001F408", "⬛", "cat"));
  // What would turn a line of a terminal around.
  EXPECT_THAT(WordsOf("a\u202eb\u2066c\u061cd\u0085e"), ElementsAre("a", "b", "c", "d", "e"));
}

TEST(WordsOfTest, AnyBytesAreTaken) {
  EXPECT_THAT(WordsOf("a\xff"
                      "b\xc3"),
              ElementsAre("a", "b"));
  EXPECT_THAT(WordsOf("\x80\xf0\x9f"), IsEmpty());
}

TEST(VocabularyTest, NamesEachWordThatItLacksOnce) {
  const Vocabulary vocabulary(std::vector<std::string>{"a", "red", "circle", "it's"});
  EXPECT_THAT(vocabulary.Lacks("A red circle. It's red-a"), IsEmpty());
  EXPECT_THAT(vocabulary.Lacks("A cat riding a Horse; a cat, a Red circle"),
              ElementsAre("cat", "riding", "Horse", "Red"));
  EXPECT_THAT(vocabulary.Lacks("two red circles"), ElementsAre("two", "circles"));
  EXPECT_THAT(vocabulary.Lacks(""), IsEmpty());
  EXPECT_TRUE(Vocabulary().open());
  EXPECT_THAT(Vocabulary().Lacks("anything"), IsEmpty());
}

TEST(VocabularyTest, AnEntryIsOneWordInSmallLetters) {
  for (const char* word : {"a", "4k", "it's", "été", "红", "\U0001F408"}) {
    EXPECT_TRUE(IsVocabularyWord(word)) << word;
    EXPECT_EQ(NearestVocabularyWord(word), word);
  }
  for (const auto& [word, nearest] : {std::pair{"", ""},
                                      {"Cat", "cat"},
                                      {"CAT", "cat"},
                                      {"new york", "new"},
                                      {" cat", "cat"},
                                      {"cat-like", "cat"},
                                      {"dogs'", "dogs"},
                                      {"!", ""},
                                      {"É", "é"}}) {
    EXPECT_FALSE(IsVocabularyWord(word)) << word;
    EXPECT_EQ(NearestVocabularyWord(word), nearest) << word;
  }
  EXPECT_TRUE(IsVocabularyWord(std::string(kMaxWordBytes, 'x')));
  EXPECT_FALSE(IsVocabularyWord(std::string(kMaxWordBytes + 1, 'x')));
  EXPECT_EQ(NearestVocabularyWord(std::string(kMaxWordBytes + 1, 'x')), "");
}

TEST(VocabularyTest, AListIsShortWhateverIsInIt) {
  EXPECT_EQ(ShortList({"cat"}), "cat");
  EXPECT_EQ(ShortList({"1", "2", "3", "4", "5", "6", "7", "8"}), "1, 2, 3, 4, 5, 6, 7, 8");
  EXPECT_EQ(ShortList({"1", "2", "3", "4", "5", "6", "7", "8", "9", "10"}),
            "1, 2, 3, 4, 5, 6, 7, 8 and 2 more");
  std::string wide;
  for (int i = 0; i < 5000; ++i) wide += "圆";
  EXPECT_EQ(ShortList({wide}), wide.substr(0, 30) + "…");
  const std::string list = ShortList(std::vector<std::string>(9, "x" + wide));
  EXPECT_LE(list.size(), 8 * (30 + 3 + 2) + 11);
  EXPECT_EQ(FirstBadUtf8Byte(list), std::string::npos);
}

TEST(PlainLineTest, OneLineWithinItsBound) {
  EXPECT_TRUE(IsPlainLine("a", 1));
  EXPECT_FALSE(IsPlainLine("", 1));
  EXPECT_FALSE(IsPlainLine("ab", 1));
  EXPECT_FALSE(IsPlainLine("a\nb", 9));
  EXPECT_FALSE(IsPlainLine("a\u0085", 9));
}

}  // namespace
}  // namespace cogwheel
