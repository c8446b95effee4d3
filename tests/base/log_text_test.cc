#include "base/log_text.h"

#include <sstream>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/log_format.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

TextLine LineOf(LogLevel level, std::string_view message) {
  TextLine line{.level = level, .message = message};
  line.local_time.tm_hour = 14;
  line.local_time.tm_min = 3;
  line.local_time.tm_sec = 5;
  return line;
}

TEST(LogText, IsTimeLevelMessageFieldsAndCause) {
  EXPECT_EQ("14:03:05 draining\n", ToText(LineOf(LogLevel::kInfo, "draining")));
  TextLine line = LineOf(LogLevel::kWarning, "cannot run the job");
  line.speaker = "rank 2 of 4";
  line.fields = {{"job", "jobs/1"}, {"error", "height 478 is odd"}, {"exit_code", "3"}};
  EXPECT_EQ(
      "14:03:05 warning: rank 2 of 4: cannot run the job (jobs/1, exit code 3): height 478 is "
      "odd\n",
      ToText(line));
  line.fields = {{"state", "FAILED"}, {"reason", "GROUP_LOST"}, {"error", "rank 1 was lost"}};
  EXPECT_THAT(ToText(line), HasSubstr(" (state failed, reason GROUP_LOST): rank 1 was lost\n"));
  line.fields = {{"status", "OK"}};
  EXPECT_THAT(ToText(line), HasSubstr("cannot run the job\n"));
  line.fields = {{"status", "UNAVAILABLE: rank 2 is gone"}};
  EXPECT_THAT(ToText(line), HasSubstr("cannot run the job: rank 2 is gone\n"));
  line.fields = {{"reason", "the epoch is over"}};
  EXPECT_THAT(ToText(line), HasSubstr("cannot run the job: the epoch is over\n"));
}

TEST(LogText, LeavesOutWhatIsEmptyOrAMachines) {
  TextLine line = LineOf(LogLevel::kInfo, "serving");
  line.fields = {{"config", "listen: ..."}, {"trace_id", "ab"}, {"at", "x.cc:1"}, {"reason", ""}};
  EXPECT_EQ("14:03:05 serving\n", ToText(line));
  line.fields = {{"ranks", std::string(121, 'x')}, {"error", std::string(121, 'y')}};
  EXPECT_EQ("14:03:05 serving: " + std::string(121, 'y') + "\n", ToText(line));
}

TEST(LogText, NoByteOfAUserMovesTheCursor) {
  TextLine line = LineOf(LogLevel::kInfo, "two\nlines");
  line.fields = {{"prompt",
                  "\x1b[2J\xc2\x9b"
                  "1mgr\xc3\xb6\xc3\x9f"
                  "er\r"}};
  EXPECT_EQ(
      "14:03:05 two lines (prompt  [2J 1mgr\xc3\xb6\xc3\x9f"
      "er )\n",
      ToText(line));
}

TEST(LogText, ColorsOnlyTheTimeAndTheLevel) {
  TextLine line = LineOf(LogLevel::kError, "cannot listen");
  line.color = true;
  EXPECT_EQ("\x1b[2m14:03:05\x1b[0m \x1b[31merror:\x1b[0m cannot listen\n", ToText(line));
}

class LogFormatTest : public testing::Test {
 protected:
  ~LogFormatTest() override {
    SetLogSpeaker("", /*first=*/true);
    SetLogFormat(LogFormat::kAuto);
  }
  // What is written of one line for each audience.
  static std::string Written() {
    testing::internal::CaptureStderr();
    Log(LogLevel::kInfo, "to all", {{"k", "v"}});
    Log(LogLevel::kInfo, "once", {}, Audience::kOnce);
    Log(LogLevel::kInfo, "to machines", {}, Audience::kMachines);
    Say("to people");
    return testing::internal::GetCapturedStderr();
  }
};

TEST_F(LogFormatTest, TextIsForPeople) {
  ASSERT_TRUE(UseLogFormat("text").ok());
  SetLogSpeaker("rank 0 of 2", /*first=*/true);
  EXPECT_THAT(Written(), MatchesRegex("..:..:.. rank 0 of 2: to all \\(k v\\)\n"
                                      "..:..:.. once\n"
                                      "..:..:.. rank 0 of 2: to people\n"));
  SetLogSpeaker("rank 1 of 2", /*first=*/false);
  EXPECT_THAT(Written(), MatchesRegex("..:..:.. rank 1 of 2: to all \\(k v\\)\n"
                                      "..:..:.. rank 1 of 2: to people\n"));
}

TEST_F(LogFormatTest, JsonHoldsEveryEventAndIsWhatNoTerminalGets) {
  for (const char* word : {"json", "auto", ""}) {  // the captured stderr is a file
    ASSERT_TRUE(UseLogFormat(word).ok());
    SetLogSpeaker("rank 1 of 2", /*first=*/false);
    std::istringstream lines(Written());
    std::vector<std::string> messages;
    for (std::string line; std::getline(lines, line);) {
      messages.push_back(nlohmann::json::parse(line)["message"]);
    }
    EXPECT_EQ((std::vector<std::string>{"to all", "once", "to machines"}), messages);
  }
}

TEST_F(LogFormatTest, TheJobThatAProcessIsAtIsTold) {
  ASSERT_TRUE(UseLogFormat("text").ok());
  SetLogField("job", "jobs/1");
  SetLogField("group", "g");
  testing::internal::CaptureStderr();
  Log(LogLevel::kInfo, "a", {{"status", "OK"}});
  Log(LogLevel::kInfo, "b", {{"job", "jobs/2"}});
  EXPECT_THAT(testing::internal::GetCapturedStderr(),
              MatchesRegex("..:..:.. a \\(jobs/1\\)\n..:..:.. b \\(jobs/2\\)\n"));
  SetLogContext({});
}

TEST_F(LogFormatTest, ARefusalNamesTheNearest) {
  const std::pair<const char*, const char*> cases[] = {
      {"jsonl", "json"}, {"te", "text"}, {"aut", "auto"}};
  for (const auto& [word, nearest] : cases) {
    const absl::Status refused = UseLogFormat(word);
    EXPECT_TRUE(absl::IsInvalidArgument(refused));
    EXPECT_EQ(std::string("--log-format '") + word +
                  "' is not legal; legal is auto, json or text; the nearest legal value is " +
                  nearest,
              refused.message());
  }
}

}  // namespace
}  // namespace cogwheel
