#include "base/finding.h"

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

TEST(FindingTest, ALineKeepsEveryField) {
  for (const FindingLevel level :
       {FindingLevel::kFact, FindingLevel::kOk, FindingLevel::kWarning, FindingLevel::kFault}) {
    const auto read = FindingOf(ToJsonLine({level, "a check", "what \"is\"\nthere", "do so"}));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->level, level);
    EXPECT_EQ(read->check, "a check");
    EXPECT_EQ(read->what, "what \"is\"\nthere");
    EXPECT_EQ(read->way_out, "do so");
  }
}

TEST(FindingTest, ALineIsOneLineOfUtf8) {
  const std::string line = ToJsonLine({FindingLevel::kFault, "c", "/m/\xff\n", ""});
  EXPECT_EQ(line.find('\n'), std::string::npos);
  EXPECT_EQ(line.find('\xff'), std::string::npos);
}

TEST(FindingTest, OtherLinesAreNone) {
  for (const char* line : {"", "{}", "ready", "[1]", "{\"level\":7}", "{\"level\":\"error\"}",
                           "{\"ready\":true,\"listen\":\"\"}"}) {
    EXPECT_FALSE(FindingOf(line).has_value()) << line;
  }
}

TEST(FindingTest, ARefusalIsCutBeforeItsWayOut) {
  const Finding cut = FaultOf("c", "dtype fp16 cannot be; the nearest legal value is bf16", "no");
  EXPECT_EQ(cut.what, "dtype fp16 cannot be");
  EXPECT_EQ(cut.way_out, "the nearest legal value is bf16");
  const Finding whole = FaultOf("c", "/m/x is missing", "fetch it");
  EXPECT_EQ(whole.what, "/m/x is missing");
  EXPECT_EQ(whole.way_out, "fetch it");
}

TEST(FindingTest, BytesHaveTheUnitThatPeopleReadThemIn) {
  EXPECT_EQ(BytesText(0), "0 KiB");
  EXPECT_EQ(BytesText(65536), "64 KiB");
  EXPECT_EQ(BytesText(1024 * 1024), "1.0 MiB");
  EXPECT_EQ(BytesText(1.5 * 1024 * 1024 * 1024), "1.5 GiB");
}

}  // namespace
}  // namespace cogwheel
