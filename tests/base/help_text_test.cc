#include "base/help_text.h"

#include <cstdlib>
#include <sstream>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::HasSubstr;

const HelpPage kPage = {
    .usage = "program [FLAGS]",
    .paragraphs = {"It does one thing and does it as well as it can, which takes two lines."},
    .sections = {{.title = "Example",
                  .commands = {"program --prompt \"a red circle moving right\" -o circle.mp4"}},
                 {.title = "Flags",
                  .entries = {{"-o, --output FILE",
                               "File to write; - is standard output. Default "
                               "video.mp4, in the folder where it is started."},
                              {"--a-flag-that-is-much-too-long NUMBER", "A number."}}}}};

TEST(LayOut, PutsTextBesideItsHeadWhereThereIsRoom) {
  EXPECT_EQ(LayOut(kPage, 80),
            "Usage: program [FLAGS]\n"
            "\n"
            "It does one thing and does it as well as it can, which takes two lines.\n"
            "\n"
            "Example:\n"
            "  program --prompt \"a red circle moving right\" -o circle.mp4\n"
            "\n"
            "Flags:\n"
            "  -o, --output FILE       File to write; - is standard output. Default\n"
            "                          video.mp4, in the folder where it is started.\n"
            "  --a-flag-that-is-much-too-long NUMBER\n"
            "                          A number.\n");
}

TEST(LayOut, PutsTextBelowItsHeadWhereThereIsNone) {
  EXPECT_EQ(LayOut(kPage, 40),
            "Usage: program [FLAGS]\n"
            "\n"
            "It does one thing and does it as well as\n"
            "it can, which takes two lines.\n"
            "\n"
            "Example:\n"
            "  program --prompt \\\n"
            "    \"a red circle moving right\" -o \\\n"
            "    circle.mp4\n"
            "\n"
            "Flags:\n"
            "  -o, --output FILE\n"
            "      File to write; - is standard\n"
            "      output. Default video.mp4, in the\n"
            "      folder where it is started.\n"
            "  --a-flag-that-is-much-too-long NUMBER\n"
            "      A number.\n");
}

TEST(LayOut, BeginsAWordFurtherLeftThatFitsOnlySo) {
  const std::string wide(37, 'A'), too_wide(41, 'B');
  const HelpPage page = {.usage = "program",
                         .sections = {{.title = "Flags",
                                       .entries = {{"--flag", "A limit. " + wide + " Also."},
                                                   {"--other", too_wide}}}}};
  EXPECT_EQ(LayOut(page, 40),
            "Usage: program\n"
            "\n"
            "Flags:\n"
            "  --flag\n"
            "      A limit.\n"
            "   " +
                wide +
                "\n"
                "      Also.\n"
                "  --other\n" +
                too_wide + "\n");
}

TEST(LayOut, FitsEveryWidthFromTheLongestWordOn) {
  for (int columns = 40; columns <= 100; ++columns) {
    std::istringstream lines(LayOut(kPage, columns));
    for (std::string line; std::getline(lines, line);) {
      EXPECT_LE(line.size(), static_cast<size_t>(columns)) << line;
      EXPECT_TRUE(line.empty() || line.back() != ' ') << line;
    }
  }
}

TEST(HelpColumns, TakesTheEnvironmentsWidth) {
  setenv("COLUMNS", "57", 1);
  EXPECT_EQ(HelpColumns(), 57);
  setenv("COLUMNS", "5000", 1);
  EXPECT_EQ(HelpColumns(), 100);
  setenv("COLUMNS", "wide", 1);
  EXPECT_GE(HelpColumns(), 20);
  unsetenv("COLUMNS");
}

}  // namespace
}  // namespace cogwheel
