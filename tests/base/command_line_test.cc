#include "base/command_line.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const std::vector<FlagForm> kForms = {
    {.name = "--output", .letter = "-o", .value = FlagValue::kNeeded, .value_name = "FILE"},
    {.name = "--json"},
    {.name = "--plaintext", .value = FlagValue::kOptional},
    {.name = "--label", .value = FlagValue::kNeeded, .value_name = "KEY=VALUE", .repeatable = true},
    {.name = "--help", .letter = "-h"},
};

// "name=value" of each flag, then the words.
std::vector<std::string> Split(const std::vector<std::string>& arguments) {
  const auto line = SplitCommandLine(arguments, kForms, {"program", "program --help"});
  if (!line.ok()) return {"refused: " + std::string(line.status().message())};
  std::vector<std::string> parts;
  for (const GivenFlag& flag : line->flags) {
    parts.push_back(kForms[flag.form].name + "=" + flag.value);
  }
  parts.insert(parts.end(), line->words.begin(), line->words.end());
  return parts;
}

TEST(SplitCommandLine, TakesFlagsInAllTheirForms) {
  EXPECT_THAT(Split({"-o", "a", "w", "--json"}), ElementsAre("--output=a", "--json=", "w"));
  EXPECT_THAT(Split({"--output=a=b"}), ElementsAre("--output=a=b"));
  EXPECT_THAT(Split({"--output="}), ElementsAre("--output="));
  EXPECT_THAT(Split({"-oa"}), ElementsAre("--output=a"));
  EXPECT_THAT(Split({"-o=a"}), ElementsAre("--output=a"));
  EXPECT_THAT(Split({"-o", "-"}), ElementsAre("--output=-"));
  EXPECT_THAT(Split({"-o", "-1"}), ElementsAre("--output=-1"));
  EXPECT_THAT(Split({"--output=--json"}), ElementsAre("--output=--json"));
  EXPECT_THAT(Split({"--", "--json", "-o"}), ElementsAre("--json", "-o"));
  EXPECT_THAT(Split({"--label", "a=1", "--label=b"}), ElementsAre("--label=a=1", "--label=b"));
  EXPECT_THAT(Split({"--plaintext", "--json"}), ElementsAre("--plaintext=", "--json="));
  EXPECT_THAT(Split({"--plaintext", "false"}), ElementsAre("--plaintext=false"));
  EXPECT_THAT(Split({"--plaintext=false"}), ElementsAre("--plaintext=false"));
  EXPECT_THAT(Split({"--json", "--json"}), ElementsAre("--json=")) << "harmless";
  EXPECT_THAT(Split({"-o", "-- a cat"}), ElementsAre("--output=-- a cat"));
  EXPECT_THAT(Split({"-o", "--cat"}), ElementsAre("--output=--cat"));
}

TEST(SplitCommandLine, SaysWhatIsWrongInItsOwnWords) {
  EXPECT_THAT(Split({"--outptu", "a"}), ElementsAre("refused: flag '--outptu' is not known by "
                                                    "program; the nearest is --output"));
  EXPECT_THAT(Split({"-o"}), ElementsAre("refused: --output needs a value: --output FILE"));
  EXPECT_THAT(Split({"-o", "--json"}), ElementsAre(HasSubstr("a value before --json; a FILE that "
                                                             "reads so is given as "
                                                             "--output=FILE")));
  for (const char* flag : {"--label=a", "-o", "-h", "--"}) {
    EXPECT_THAT(Split({"--output", flag, "x"}), ElementsAre(HasSubstr("needs a value before")));
  }
  for (const auto& empty : {std::vector<std::string>{"--plaintext="}, {"--plaintext", ""}}) {
    EXPECT_THAT(Split(empty), ElementsAre("refused: --plaintext '' is not legal; legal is true, "
                                          "false or --plaintext alone"));
  }
  EXPECT_THAT(Split({"-v"}), ElementsAre("refused: flag '-v' is not known by program; see "
                                         "program --help"));
  EXPECT_THAT(Split({"--output", "a", "-o", "b"}),
              ElementsAre("refused: --output is given twice; legal is once"));
  EXPECT_THAT(Split({"--json=maybe"}), ElementsAre(HasSubstr("--json takes no value")));
  EXPECT_THAT(Split({"-x\n\x1b[2J" + std::string(5000, 'x')}),
              ElementsAre(testing::AllOf(Not(HasSubstr("\n")), Not(HasSubstr("\x1b")),
                                         testing::SizeIs(testing::Lt(200u)))));
}

TEST(ShownArgument, IsNotCutInsideACharacter) {
  EXPECT_EQ(ShownArgument("short"), "short");
  EXPECT_EQ(ShownArgument("x" + std::string(58, 'y') + "\u00e9"),
            "x" + std::string(58, 'y') + "...");
  EXPECT_EQ(ShownArgument("a\tb"), "a b");
}

TEST(NearestWord, CountsChangedLetters) {
  const std::vector<std::string> words = {"watch", "cancel", "download"};
  EXPECT_EQ(NearestWord("wacth", words), "watch");
  EXPECT_EQ(NearestWord("cancle", words), "cancel");
  EXPECT_EQ(NearestWord("dl", words), "") << "no letter of it would stay";
  EXPECT_EQ(NearestWord("", words), "");
  EXPECT_EQ(NearestWord("down", words), "download") << "begun";
  EXPECT_EQ(NearestWord("d", words), "") << "says too little";
}

}  // namespace
}  // namespace cogwheel
