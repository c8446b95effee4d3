#include "server/operate/audit_log.h"

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "cogwheel/v1/operate_service.pb.h"
#include "proto/contract/status.h"
#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

class AuditLogTest : public testing::Test {
 protected:
  void SetUp() override { fs::create_directory(folder_); }
  void TearDown() override { fs::remove_all(folder_); }
  static std::vector<nlohmann::json> Lines(const fs::path& file) {
    std::vector<nlohmann::json> lines;
    std::ifstream stream(file);
    for (std::string line; std::getline(stream, line);) {
      lines.push_back(nlohmann::json::parse(line));
    }
    return lines;
  }
  AuditEntry Entry(const std::string& method) const {
    return {.token = "0123abcd", .tenant = "ops", .host = "ipv4:10.0.0.7", .method = method};
  }

  const fs::path folder_ = testing::TempDir() + "audit-" + std::to_string(getpid());
  const fs::path file_ = folder_ / "audit.jsonl";
  FakeClock clock_;
};

TEST_F(AuditLogTest, ALineSaysWhoDidWhatAndWhatCameOfIt) {
  const auto log = AuditLog::Open(file_.string(), clock_).value();
  v1::PauseRequest request;
  request.set_tenant("t");
  request.set_reason("unpaid");
  AuditEntry entry = Entry("Pause");
  entry.request = &request;
  log->Write(entry);
  entry = Entry("Purge");
  entry.tenant = "";
  entry.outcome = MakeError(absl::StatusCode::kPermissionDenied, "METHOD_DENIED", "no");
  log->Write(entry);
  const std::vector<nlohmann::json> lines = Lines(file_);
  ASSERT_EQ(2, lines.size());
  EXPECT_EQ("0123abcd", lines[0]["token"]);
  EXPECT_EQ("ops", lines[0]["tenant"]);
  EXPECT_EQ("ipv4:10.0.0.7", lines[0]["host"]);
  EXPECT_EQ("Pause", lines[0]["method"]);
  EXPECT_EQ((nlohmann::json{{"tenant", "t"}, {"reason", "unpaid"}}), lines[0]["request"]);
  EXPECT_EQ("OK", lines[0]["code"]);
  EXPECT_EQ("PERMISSION_DENIED", lines[1]["code"]);
  EXPECT_EQ("METHOD_DENIED", lines[1]["reason"]);
  EXPECT_TRUE(lines[1]["request"].is_null());
  EXPECT_EQ(fs::perms::owner_read | fs::perms::owner_write, fs::status(file_).permissions());
}

TEST_F(AuditLogTest, AFileThatWasMovedAwayIsFollowedByANewOne) {
  const auto log = AuditLog::Open(file_.string(), clock_).value();
  log->Write(Entry("Pause"));
  fs::rename(file_, folder_ / "old");
  log->Write(Entry("Unpause"));
  EXPECT_EQ("Pause", Lines(folder_ / "old").at(0)["method"]);
  EXPECT_EQ("Unpause", Lines(file_).at(0)["method"]);
}

TEST_F(AuditLogTest, WithoutAFileNothingIsDone) {
  const auto log = AuditLog::Open(file_.string(), clock_).value();
  EXPECT_TRUE(log->Check().ok());
  fs::remove_all(folder_);
  const absl::Status refused = log->Check();
  EXPECT_TRUE(absl::IsUnavailable(refused));
  EXPECT_EQ("AUDIT", ErrorReason(refused));
  EXPECT_TRUE(absl::IsInvalidArgument(AuditLog::Open(file_.string(), clock_).status()));
}

TEST_F(AuditLogTest, WhatTheFileCannotTakeIsALineOfTheLog) {
  const auto log = AuditLog::Open("/dev/full", clock_).value();
  testing::internal::CaptureStderr();
  log->Write(Entry("Purge"));
  EXPECT_NE(std::string::npos, testing::internal::GetCapturedStderr().find("Purge"));
}

TEST_F(AuditLogTest, NoLogLevelTurnsItOff) {
  const auto log = AuditLog::Open("", clock_).value();
  SetLogLevel(LogLevel::kError);
  testing::internal::CaptureStderr();
  log->Write(Entry("SetLogLevel"));
  SetLogLevel(LogLevel::kInfo);
  EXPECT_NE(std::string::npos, testing::internal::GetCapturedStderr().find("SetLogLevel"));
}

}  // namespace
}  // namespace cogwheel
