// The command lines of operators, and what people read of the answers.
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "client/arguments.h"
#include "client/time_value.h"
#include "client/usage_table.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;

absl::StatusOr<Arguments> Parse(std::vector<const char*> words) {
  words.insert(words.begin(), "cogwheel");
  const auto parsed =
      ParseArguments(static_cast<int>(words.size()), words.data(), {.server = "127.0.0.1:50051"});
  if (!parsed.ok()) return parsed.status();
  return parsed->arguments.value();
}

std::string Refusal(const std::vector<const char*>& words) {
  const auto parsed = Parse(words);
  EXPECT_TRUE(absl::IsInvalidArgument(parsed.status())) << words.front();
  return std::string(parsed.status().message());
}

TEST(OperateArguments, WhatStandsBehindACommandIsWhatItIsAbout) {
  EXPECT_EQ("g", Parse({"drain", "g"})->operate.name);
  EXPECT_EQ("m", Parse({"retire", "m"})->operate.name);
  EXPECT_EQ("warning", Parse({"log-level", "warning"})->operate.name);
  EXPECT_EQ("jobs/1", Parse({"requeue", "jobs/1"})->job);
  EXPECT_EQ("", Parse({"backup"})->operate.name);
  EXPECT_EQ("one", Parse({"backup", "one"})->operate.name);
  EXPECT_THAT(Refusal({"drain"}), HasSubstr("drain needs a group's name; cogwheel groups"));
  EXPECT_THAT(Refusal({"log-level"}), HasSubstr("legal is info, warning or error"));
  EXPECT_THAT(Refusal({"requeue"}), HasSubstr("requeue needs a job's name"));
  EXPECT_THAT(Refusal({"drain", "a", "b"}), HasSubstr("'b' is not expected by drain"));
}

TEST(OperateArguments, APauseIsOfOneModelOrTenant) {
  EXPECT_EQ("m", Parse({"pause", "--model", "m"})->operate.model);
  EXPECT_EQ("t", Parse({"unpause", "--tenant", "t"})->operate.tenant);
  EXPECT_THAT(Refusal({"pause"}), HasSubstr("pause needs --model NAME or --tenant NAME"));
  EXPECT_THAT(Refusal({"pause", "--model", "m", "--tenant", "t"}), HasSubstr("leave one of"));
}

TEST(OperateArguments, WhatCannotBeUndoneNamesAllOfIt) {
  EXPECT_THAT(Refusal({"purge", "--before", "30d"}), HasSubstr("--tenant is missing"));
  EXPECT_THAT(Refusal({"purge", "--tenant", "t"}), HasSubstr("--before is missing"));
  EXPECT_THAT(Refusal({"fail", "jobs/1"}), HasSubstr("--reason is missing"));
  EXPECT_TRUE(Parse({"purge", "--tenant", "t", "--before", "30d"})->operate.before.has_value());
  EXPECT_FALSE(Parse({"usage"})->operate.from.has_value());
}

TEST(ParseTime, TakesTimesDatesAndAges) {
  constexpr int64_t kNow = 1'800'000'000;  // 2027-01-15T08:00:00Z
  EXPECT_EQ(kNow, ParseTime("before", "2027-01-15T08:00:00Z", 0)->seconds());
  EXPECT_EQ(kNow, ParseTime("before", "2027-01-15T09:00:00+01:00", 0)->seconds());
  EXPECT_EQ(kNow - 8 * 3600, ParseTime("before", "2027-01-15", 0)->seconds());
  EXPECT_EQ(kNow - 30 * 86'400, ParseTime("before", "30d", kNow)->seconds());
  EXPECT_EQ(kNow - 12 * 3600, ParseTime("before", "12h", kNow)->seconds());
  for (const char* text : {"", "d", "-1d", "0d", "1w", "2027-13-01", "yesterday", "99999999999d"}) {
    const auto refused = ParseTime("before", text, kNow).status();
    EXPECT_TRUE(absl::IsInvalidArgument(refused)) << text;
    EXPECT_THAT(std::string(refused.message()), HasSubstr("2026-11-29")) << text;
  }
}

TEST(UsageTable, HasALineATenantAndTheirSum) {
  v1::GetUsageResponse usage;
  EXPECT_EQ("", UsageTable(usage));
  v1::TenantUsage* used = usage.add_usage();
  used->set_tenant("lab");
  used->set_model("m");
  used->set_gpu_seconds(1.25);
  used->set_succeeded(2);
  used->set_result_bytes(100);
  const std::string one = UsageTable(usage);
  EXPECT_EQ(std::string::npos, one.find("(all)"));
  *usage.add_usage() = *used;
  EXPECT_EQ(
      "TENANT  MODEL  GPU SECONDS  SUCCEEDED  FAILED  CANCELLED  RESULT BYTES\n"
      "lab     m      1.2          2          0       0          100\n"
      "lab     m      1.2          2          0       0          100\n"
      "(all)          2.5          4          0       0          200\n",
      UsageTable(usage));
}

}  // namespace
}  // namespace cogwheel
