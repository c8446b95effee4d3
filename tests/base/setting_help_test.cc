#include "base/setting_help.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cogwheel/config/v1/config.pb.h"
#include "proto/contract/config_comments.h"

namespace cogwheel {
namespace {

using config::v1::ServerConfig;
using testing::HasSubstr;

const SettingComment& CommentOf(const std::string& field,
                                const std::vector<SettingComment>& comments) {
  return comments[ServerConfig::descriptor()->FindFieldByName(field)->index()];
}

TEST(ReadSettingComments, TakesAComment) {
  const auto comments = ReadSettingComments(ConfigComments(), *ServerConfig::descriptor());
  const SettingComment& internal = CommentOf("internal_listen", comments);
  EXPECT_EQ(internal.group, "Addresses");
  EXPECT_THAT(internal.what, HasSubstr("Where ranks come"));
  EXPECT_EQ(internal.value, "HOST:PORT");
  EXPECT_EQ(internal.fallback, "default the address of --listen");
  EXPECT_EQ(CommentOf("data_dir", comments).group, "Data");
}

TEST(ReadSettingComments, WithoutSourcesThereIsNothingToSay) {
  const auto comments = ReadSettingComments("", *ServerConfig::descriptor());
  EXPECT_EQ(comments.size(), static_cast<size_t>(ServerConfig::descriptor()->field_count()));
}

TEST(SettingsPage, ShowsRangesAndTheDefaultsOfTheMessage) {
  ServerConfig defaults;
  defaults.set_listen("127.0.0.1:7");
  defaults.set_max_queued_bytes(int64_t{3} << 30);
  defaults.set_max_queued_seconds(7200);
  const ProgramInfo program = {.name = "program",
                               .comments = ConfigComments(),
                               .ranges = {{"max_queued_bytes", 1}, {"result_hours", 1, 876000}}};
  const std::string text = LayOut(SettingsPage(program, defaults), 10'000);
  EXPECT_THAT(text, HasSubstr("Default 127.0.0.1:7. COGWHEEL_LISTEN."));
  EXPECT_THAT(text, HasSubstr("1 or more. Default 3221225472 (3 GiB). COGWHEEL_MAX_QUEUED_BYTES."));
  EXPECT_THAT(text, HasSubstr("Default 7200 (2 h). COGWHEEL_MAX_QUEUED_SECONDS."));
  EXPECT_THAT(text, HasSubstr("1 to 876000. No default. COGWHEEL_RESULT_HOURS."));
  EXPECT_THAT(text, HasSubstr("--allow-plaintext [true|false]"));
}

TEST(CheckRanges, NamesTheNearest) {
  ServerConfig config;
  const std::vector<SettingRange> ranges = {{"result_hours", 1, 876'000}, {"max_call_burst", 1}};
  EXPECT_EQ(CheckRanges(config, ranges), absl::OkStatus()) << "what is not set is not looked at";
  config.set_result_hours(876'000);
  EXPECT_EQ(CheckRanges(config, ranges), absl::OkStatus());
  config.set_result_hours(876'001);
  EXPECT_EQ(CheckRanges(config, ranges).message(),
            "--result-hours 876001 is not legal; the nearest legal value is 876000");
  config.set_result_hours(1);
  config.set_max_call_burst(0);
  EXPECT_EQ(CheckRanges(config, ranges).message(),
            "--max-call-burst 0 is not legal; the nearest legal value is 1");
}

}  // namespace
}  // namespace cogwheel
