#include "server/api/access.h"

#include <filesystem>
#include <fstream>
#include <set>
#include <string>

#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/sha256.h"
#include "cogwheel/v1/operate_service.pb.h"
#include "cogwheel/v1/video_service.pb.h"
#include "proto/contract/status.h"
#include "server/api/bearer.h"
#include "tests/support/fake_clock.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;

TEST(BearerToken, FollowsTheSchemeInAnyCase) {
  for (const char* header : {"bearer t.1=", "Bearer t.1=", "BEARER   t.1="}) {
    EXPECT_EQ("t.1=", BearerToken(header)) << header;
  }
  EXPECT_EQ("", BearerToken("Bearer "));
  for (const char* header : {"", "t.1=", "bearer", "bearert.1=", " bearer t.1=", "basic t.1="}) {
    EXPECT_EQ(std::nullopt, BearerToken(header)) << header;
  }
  EXPECT_EQ(std::nullopt, BearerToken(std::nullopt));
}

class AccessControlTest : public testing::Test {
 protected:
  void TearDown() override { std::filesystem::remove(file_); }
  void Write(const std::string& json) {
    std::ofstream(file_) << json;
    // Whatever the resolution of the file system's clock.
    std::filesystem::last_write_time(
        file_, std::filesystem::file_time_type(std::chrono::seconds(1'000'000 + ++writes_)));
  }
  static std::string Token(const std::string& token, const std::string& rest) {
    return "{\"sha256\": \"" + Sha256Hex(token) + "\", " + rest + "}";
  }
  void WriteTwo() {
    Write("{\"tenants\": [{\"name\": \"a\", \"weight\": 2}, {\"name\": \"b\"}], \"tokens\": [" +
          Token("secret-a", "\"tenant\": \"a\", \"roles\": [\"submit\", \"read\", \"operate\"]") +
          "," + Token("reader-b", "\"tenant\": \"b\", \"roles\": [\"read\"]") + "]}");
  }
  std::string Refusal(const std::string& json) {
    Write(json);
    const absl::Status status = AccessControl::Load(file_, clock_).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << json;
    EXPECT_THAT(std::string(status.message()), HasSubstr(file_));
    return std::string(status.message());
  }

  // Its own: cases run side by side.
  const std::string file_ = testing::TempDir() + "access-" + std::to_string(getpid()) + ".json";
  int writes_ = 0;
  FakeClock clock_;
};

TEST_F(AccessControlTest, WithoutAFileEverybodyIsTheDefaultTenant) {
  const auto access = AccessControl::Load("", clock_).value();
  EXPECT_EQ("default", access->CheckHeader(std::nullopt, "Generate").value());
  EXPECT_FALSE(access->Reload());
  ASSERT_EQ(1, access->Tenants().size());
  EXPECT_EQ("default", access->Tenants()[0].name());
}

// B17: the last one won, and the other tenant's jobs were another's without a word.
TEST_F(AccessControlTest, ATokenStandsInTheFileOnce) {
  const std::string digest = Sha256Hex("t");
  const std::string refusal =
      Refusal("{\"tenants\": [{\"name\": \"a\"}, {\"name\": \"b\"}], \"tokens\": [" +
              Token("t", "\"tenant\": \"a\"") + "," + Token("t", "\"tenant\": \"b\"") + "]}");
  EXPECT_THAT(refusal, HasSubstr("token " + digest.substr(0, 8) + " stands there twice"));
  EXPECT_THAT(refusal, testing::Not(HasSubstr(digest)));
}

TEST_F(AccessControlTest, TokensHaveTenantsAndRoles) {
  WriteTwo();
  const auto access = AccessControl::Load(file_, clock_).value();
  EXPECT_EQ("a", access->CheckHeader("Bearer secret-a", "CreateJob").value());
  EXPECT_EQ("b", access->CheckHeader("bearer reader-b", "GetJob").value());
  const absl::Status denied = access->CheckHeader("bearer reader-b", "CreateJob").status();
  EXPECT_EQ(absl::StatusCode::kPermissionDenied, denied.code());
  EXPECT_EQ("METHOD_DENIED", ErrorReason(denied));
  EXPECT_EQ("the token may not call CreateJob, which needs role submit", denied.message());
  EXPECT_EQ("the token may not call ListGroups, which needs role operate",
            access->CheckHeader("bearer reader-b", "ListGroups").status().message());
  const absl::Status unknown = access->CheckHeader("bearer secret-a", "New").status();
  EXPECT_EQ("METHOD_DENIED", ErrorReason(unknown));
  EXPECT_EQ("the token may not call New", unknown.message());
  for (const char* header : {"bearer secret-c", "bearer ", "bearer secret-a "}) {
    const absl::Status status = access->CheckHeader(header, "GetJob").status();
    EXPECT_EQ(absl::StatusCode::kUnauthenticated, status.code()) << header;
    EXPECT_EQ("BAD_CREDENTIALS", ErrorReason(status)) << header;
  }
  for (const std::optional<std::string>& header :
       {std::optional<std::string>(), std::optional<std::string>("secret-a"),
        std::optional<std::string>("basic secret-a")}) {
    EXPECT_EQ("NO_CREDENTIALS", ErrorReason(access->CheckHeader(header, "GetJob").status()));
  }
}

// A method that the table of roles forgot would be closed to the token that has them all.
TEST_F(AccessControlTest, EveryMethodOfTheServicesHasARole) {
  WriteTwo();
  const auto access = AccessControl::Load(file_, clock_).value();
  for (const auto* service :
       {v1::GenerateRequest::descriptor()->file()->FindServiceByName("VideoService"),
        v1::PauseRequest::descriptor()->file()->FindServiceByName("OperateService")}) {
    ASSERT_NE(nullptr, service);
    for (int i = 0; i < service->method_count(); ++i) {
      const std::string method = service->method(i)->name();
      EXPECT_TRUE(access->CheckHeader("bearer secret-a", method).ok()) << method;
      if (service->name() != "OperateService") continue;
      const absl::Status denied = access->CheckHeader("bearer reader-b", method).status();
      EXPECT_TRUE(absl::IsPermissionDenied(denied)) << method;
      EXPECT_THAT(std::string(denied.message()), HasSubstr("needs role operate"));
    }
  }
}

TEST_F(AccessControlTest, TokensExpire) {
  const auto now =
      std::chrono::duration_cast<std::chrono::seconds>(clock_.Wall().time_since_epoch());
  const std::time_t end = now.count() + 10;
  std::string text(32, '\0');
  text.resize(std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", std::gmtime(&end)));
  Write("{\"tenants\": [{\"name\": \"a\"}], \"tokens\": [" +
        Token("t", "\"tenant\": \"a\", \"roles\": [\"read\"], \"expires\": \"" + text + "\"") +
        "]}");
  const auto access = AccessControl::Load(file_, clock_).value();
  EXPECT_TRUE(access->CheckHeader("bearer t", "GetJob").ok());
  clock_.Advance(std::chrono::seconds(10));
  EXPECT_EQ("BAD_CREDENTIALS", ErrorReason(access->CheckHeader("bearer t", "GetJob").status()));
}

// Beyond 2262 the nanoseconds of a 64-bit time run over.
TEST_F(AccessControlTest, ATokenMayHoldForThousandsOfYears) {
  Write("{\"tenants\": [{\"name\": \"a\"}], \"tokens\": [" +
        Token("t",
              "\"tenant\": \"a\", \"roles\": [\"read\"], "
              "\"expires\": \"9999-12-31T23:59:59Z\"") +
        "]}");
  EXPECT_TRUE(AccessControl::Load(file_, clock_).value()->CheckHeader("bearer t", "GetJob").ok());
}

TEST_F(AccessControlTest, AChangedFileHoldsAndABrokenOneDoesNot) {
  WriteTwo();
  const auto access = AccessControl::Load(file_, clock_).value();
  EXPECT_FALSE(access->Reload());
  Write("{\"tenants\": [{\"name\": \"c\"}], \"tokens\": [" +
        Token("new", "\"tenant\": \"c\", \"roles\": [\"read\"]") + "]}");
  EXPECT_TRUE(access->Reload());
  EXPECT_EQ("c", access->CheckHeader("bearer new", "GetJob").value());
  EXPECT_FALSE(access->CheckHeader("bearer secret-a", "GetJob").ok());  // revoked
  Write("{");
  EXPECT_FALSE(access->Reload());
  std::filesystem::remove(file_);
  EXPECT_FALSE(access->Reload());
  EXPECT_EQ("c", access->CheckHeader("bearer new", "GetJob").value());
  EXPECT_EQ("c", access->Tenants().at(0).name());
}

TEST_F(AccessControlTest, FilesThatMakeNoSenseAreRefusedByName) {
  EXPECT_TRUE(absl::IsInvalidArgument(AccessControl::Load("/no/such/file", clock_).status()));
  Refusal("");
  EXPECT_THAT(Refusal("{\"tenant\": []}"), HasSubstr("AccessPolicy"));
  EXPECT_THAT(Refusal("{\"tenants\": [{\"name\": \"A b\"}]}"), HasSubstr("'A b'"));
  EXPECT_THAT(Refusal("{\"tenants\": [{\"name\": \"a\"}, {\"name\": \"a\"}]}"), HasSubstr("once"));
  for (const char* field : {"weight", "max_queued_jobs", "max_gpu_seconds"}) {
    EXPECT_THAT(Refusal("{\"tenants\": [{\"name\": \"a\", \"" + std::string(field) + "\": -1}]}"),
                HasSubstr("tenant a has a " + std::string(field)));
  }
  const std::string unhashed =
      Refusal("{\"tenants\": [{\"name\": \"a\"}], \"tokens\": [{\"sha256\": \"my-secret\"}]}");
  EXPECT_THAT(unhashed, testing::Not(HasSubstr("my-secret")));
  EXPECT_THAT(Refusal("{\"tokens\": [" + Token("t", "\"tenant\": \"x\"") + "]}"),
              HasSubstr("'x' is not among"));
  EXPECT_THAT(Refusal("{\"tenants\": [{\"name\": \"a\"}], \"tokens\": [" +
                      Token("t", "\"tenant\": \"a\", \"roles\": [\"admin\"]") + "]}"),
              HasSubstr("role 'admin'"));
}

}  // namespace
}  // namespace cogwheel
