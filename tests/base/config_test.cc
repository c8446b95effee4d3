#include "base/config.h"

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {
namespace {

using config::v1::ServerConfig;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class ConfigTest : public testing::Test {
 protected:
  void SetUp() override {
    file_ = testing::TempDir() + "config_test-" + std::to_string(getpid());
    unsetenv("COGWHEEL_LISTEN");
    unsetenv("COGWHEEL_MAX_QUEUED_JOBS");
  }
  void TearDown() override { SetUp(); }

  absl::StatusOr<ConfigOutcome> Load(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "program");
    std::vector<char*> argv;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    return LoadConfig(static_cast<int>(argv.size()), argv.data(),
                      {"program", "A summary.", "program 1.2.3\nlibrary 4"}, config_);
  }
  void WriteFile(const std::string& text) { std::ofstream(file_) << text; }

  ServerConfig config_;
  std::string file_;
};

TEST_F(ConfigTest, FlagsWinOverEnvironmentOverFileOverDefaults) {
  config_.set_listen("default");
  config_.set_data_dir("default");
  WriteFile(
      R"({"listen": "file", "maxQueuedJobs": 1, "max_queued_bytes": "2", "admin_listen": "f"})");
  setenv("COGWHEEL_LISTEN", "environment", 1);
  setenv("COGWHEEL_MAX_QUEUED_JOBS", "3", 1);
  const auto outcome = Load({"--config", file_, "--max-queued-jobs=4"});
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(ConfigOutcome::kRun, *outcome);
  EXPECT_EQ("environment", config_.listen());
  EXPECT_EQ("default", config_.data_dir());
  EXPECT_EQ("f", config_.admin_listen());
  EXPECT_EQ(4, config_.max_queued_jobs());
  EXPECT_EQ(2, config_.max_queued_bytes());
  EXPECT_FALSE(config_.has_internal_listen());
}

TEST_F(ConfigTest, NegativeNumbersAreValues) {
  ASSERT_TRUE(Load({"--max-queued-jobs", "-1"}).ok());
  EXPECT_EQ(-1, config_.max_queued_jobs());
}

TEST_F(ConfigTest, ASwitchNeedsNoValueAndMayHaveOne) {
  ASSERT_TRUE(Load({"--allow-plaintext", "--listen", "a:1"}).ok());
  EXPECT_TRUE(config_.allow_plaintext());
  EXPECT_EQ("a:1", config_.listen());
  ASSERT_TRUE(Load({"--allow-plaintext=false"}).ok());
  EXPECT_FALSE(config_.allow_plaintext());
  ASSERT_TRUE(Load({"--allow-plaintext", "true"}).ok());
  EXPECT_TRUE(config_.allow_plaintext());
  EXPECT_FALSE(Load({"--allow-plaintext=perhaps"}).ok());
  EXPECT_FALSE(Load({"--allow-plaintext="}).ok()) << "a script's variable that is not set";
}

TEST_F(ConfigTest, RefusesWhatIsNotLegal) {
  const auto refusal = [this](std::vector<std::string> arguments) {
    const auto outcome = Load(std::move(arguments));
    EXPECT_EQ(absl::StatusCode::kInvalidArgument, outcome.status().code());
    return std::string(outcome.status().message());
  };
  EXPECT_THAT(refusal({"--lissen", "x"}),
              HasSubstr("'--lissen' is not known by program; the nearest is --listen"));
  EXPECT_THAT(refusal({"stray"}), HasSubstr("'stray' is not expected by program"));
  EXPECT_THAT(refusal({"help", "stray"}), HasSubstr("'stray' is not expected by program"));
  EXPECT_THAT(refusal({"--max-queued-jobs", "a\nb"}), HasSubstr("'a b' is not legal"));
  EXPECT_THAT(refusal({"--max-queued-jobs", "many"}),
              HasSubstr("--max-queued-jobs 'many' is not legal; legal is a whole number"));
  EXPECT_THAT(refusal({"--max-queued-jobs", "4294967296"}), HasSubstr("32 bits"));
  EXPECT_THAT(refusal({"--listen"}), HasSubstr("--listen"));
  EXPECT_THAT(refusal({"--config", "/nowhere"}), HasSubstr("/nowhere cannot be read"));
  WriteFile(R"({"lissen": "x"})");
  EXPECT_THAT(refusal({"--config", file_}), HasSubstr("lissen"));
  for (const char* broken : {"{", "{\"listen\"\n: :\n}", "[]"}) {
    WriteFile(broken);
    EXPECT_THAT(refusal({"--config", file_}),
                AllOf(HasSubstr("--config"), Not(HasSubstr("\n")), Not(HasSubstr("^"))));
  }
  EXPECT_THAT(refusal({"--config", "/tmp"}), HasSubstr("/tmp is a folder"));
  setenv("COGWHEEL_MAX_QUEUED_JOBS", "x", 1);
  EXPECT_THAT(refusal({}), HasSubstr("COGWHEEL_MAX_QUEUED_JOBS 'x'"));
}

TEST_F(ConfigTest, PrintsTheMergedConfigurationAsAConfigFile) {
  config_.set_listen("a:1");
  testing::internal::CaptureStdout();
  const auto outcome = Load({"--print-config", "--max-queued-bytes", "5"});
  const std::string printed = testing::internal::GetCapturedStdout();
  ASSERT_TRUE(outcome.ok()) << outcome.status();
  EXPECT_EQ(ConfigOutcome::kPrinted, *outcome);
  WriteFile(printed);
  config_.Clear();
  ASSERT_TRUE(Load({"--config", file_}).ok());
  EXPECT_EQ("a:1", config_.listen());
  EXPECT_EQ(5, config_.max_queued_bytes());
}

TEST_F(ConfigTest, AnswersHelpAndVersion) {
  for (const char* word : {"--version", "-v", "version"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(ConfigOutcome::kPrinted, Load({word}).value());
    EXPECT_EQ("program 1.2.3\nlibrary 4\n", testing::internal::GetCapturedStdout()) << word;
  }
  for (const char* word : {"--help", "-h", "help"}) {
    testing::internal::CaptureStdout();
    EXPECT_EQ(ConfigOutcome::kPrinted, Load({word}).value());
    EXPECT_THAT(testing::internal::GetCapturedStdout(), HasSubstr("COGWHEEL_DATA_DIR")) << word;
  }
}

}  // namespace
}  // namespace cogwheel
