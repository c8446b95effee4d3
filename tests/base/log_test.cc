#include "base/log.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/sha256.h"

namespace cogwheel {
namespace {

TEST(Log, WritesOneJsonObjectALine) {
  SetLogContext({{"program", "test"}});
  testing::internal::CaptureStderr();
  Log(LogLevel::kWarning, "two\nlines \"quoted\"", {{"job", "jobs/1"}, {"bytes", "\xff\x01"}});
  const std::string text = testing::internal::GetCapturedStderr();
  SetLogContext({});
  EXPECT_EQ(text.size() - 1, text.find('\n'));
  const nlohmann::json line = nlohmann::json::parse(text);
  EXPECT_EQ("warning", line["level"]);
  EXPECT_EQ("two\nlines \"quoted\"", line["message"]);
  EXPECT_EQ("test", line["program"]);
  EXPECT_EQ("jobs/1", line["job"]);
  EXPECT_EQ("\xef\xbf\xbd\x01", line["bytes"]);  // what is no UTF-8 is replaced
  EXPECT_EQ(27, line["time"].get<std::string>().size());
}

TEST(Log, LeavesOutWhatIsBelowTheLevel) {
  SetLogLevel(LogLevel::kWarning);
  testing::internal::CaptureStderr();
  Log(LogLevel::kInfo, "below");
  Log(LogLevel::kWarning, "at");
  Log(LogLevel::kError, "above");
  EXPECT_EQ(LogLevel::kWarning, LeastLogLevel());
  SetLogLevel(LogLevel::kInfo);
  const std::string text = testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::string::npos, text.find("below"));
  EXPECT_NE(std::string::npos, text.find("at"));
  EXPECT_NE(std::string::npos, text.find("above"));
}

TEST(Log, CarriesWhatTheProcessSaysOfItselfNow) {
  SetLogContext({{"rank", "1"}});
  SetLogField("job", "jobs/1");
  SetLogField("job", "jobs/2");
  SetLogField("rank", "");
  testing::internal::CaptureStderr();
  Log(LogLevel::kInfo, "x");
  const nlohmann::json line = nlohmann::json::parse(testing::internal::GetCapturedStderr());
  SetLogContext({});
  EXPECT_EQ("jobs/2", line["job"]);
  EXPECT_FALSE(line.contains("rank"));
}

TEST(Sha256, KnowsTheStandardsExamples) {
  EXPECT_EQ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", Sha256Hex(""));
  Sha256 sha;
  sha.Update("a");
  sha.Update("bc");
  EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha.HexDigest());
}

}  // namespace
}  // namespace cogwheel
