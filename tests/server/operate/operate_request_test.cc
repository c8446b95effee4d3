#include "server/operate/operate_request.h"

#include <chrono>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::HasSubstr;

const Job::WallTime kNow = Job::WallTime(hours(500'000) + minutes(30));

TEST(OperateRequest, NamesAndReasonsHaveBounds) {
  EXPECT_TRUE(CheckName("name", "g").ok());
  EXPECT_TRUE(CheckName("name", std::string(128, 'g')).ok());
  EXPECT_TRUE(absl::IsInvalidArgument(CheckName("name", "")));
  EXPECT_TRUE(absl::IsInvalidArgument(CheckName("name", std::string(129, 'g'))));
  EXPECT_TRUE(CheckReason("", 0).ok());
  EXPECT_TRUE(CheckReason(std::string(255, 'r'), 1).ok());
  EXPECT_FALSE(CheckReason("", 1).ok());
  EXPECT_THAT(std::string(CheckReason(std::string(256, 'r'), 1).message()),
              HasSubstr("has 256 bytes; legal are 1 to 255"));
  EXPECT_TRUE(CheckReason("drüben", 1).ok());
  for (const char* reason : {"two\nlines", "\x1b[2J", "\xc2\x85"}) {  // the last: U+0085
    EXPECT_THAT(std::string(CheckReason(reason, 1).message()), HasSubstr("legal is one line"));
  }
}

TEST(OperateRequest, APauseIsOfAModelOrATenant) {
  v1::PauseRequest request;
  EXPECT_TRUE(absl::IsInvalidArgument(TargetOf(request).status()));
  request.set_model("m");
  EXPECT_EQ((PauseTarget{PauseTarget::Kind::kModel, "m"}), *TargetOf(request));
  request.set_tenant("t");
  EXPECT_EQ((PauseTarget{PauseTarget::Kind::kTenant, "t"}), *TargetOf(request));
  request.set_tenant("");
  EXPECT_TRUE(absl::IsInvalidArgument(TargetOf(request).status()));
}

TEST(OperateRequest, APurgeReachesNotIntoTheFuture) {
  v1::PurgeRequest request;
  EXPECT_TRUE(absl::IsInvalidArgument(PurgedBefore(request, kNow).status()));
  *request.mutable_before() = ToTimestamp(kNow);
  EXPECT_EQ(kNow, *PurgedBefore(request, kNow));
  *request.mutable_before() = ToTimestamp(kNow + std::chrono::seconds(1));
  EXPECT_TRUE(absl::IsInvalidArgument(PurgedBefore(request, kNow).status()));
}

TEST(OperateRequest, ABackupIsNoPath) {
  v1::BackupRequest request;
  EXPECT_EQ("20270115-083000", *BackupName(request, kNow));  // 500,000 h and 30 min since 1970
  request.set_name("before-upgrade_2");
  EXPECT_EQ("before-upgrade_2", *BackupName(request, kNow));
  for (const char* name : {"..", "a/b", ".hidden", "Name", " "}) {
    request.set_name(name);
    EXPECT_TRUE(absl::IsInvalidArgument(BackupName(request, kNow).status())) << name;
  }
  request.set_name(std::string(65, 'a'));
  EXPECT_FALSE(BackupName(request, kNow).ok());
}

TEST(OperateRequest, AWindowBeginsWithAWholeHour) {
  v1::GetUsageRequest request;
  const absl::StatusOr<UsageWindow> last_day = WindowOf(request, kNow);
  EXPECT_EQ(Job::WallTime(hours(500'000 - 24)), last_day->from);
  EXPECT_EQ(kNow, last_day->to);  // the hour that runs counts
  *request.mutable_from() = ToTimestamp(kNow + minutes(1));
  EXPECT_EQ(Job::WallTime(hours(500'000)), WindowOf(request, kNow)->from);
  *request.mutable_to() = ToTimestamp(kNow - hours(1));
  EXPECT_TRUE(absl::IsInvalidArgument(WindowOf(request, kNow).status()));
}

}  // namespace
}  // namespace cogwheel
