#include "server/streams/stream_registry.h"

#include <memory>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;
using Time = std::chrono::steady_clock::time_point;

class FakeStream final : public LiveStream {
 public:
  bool StalledSince(Time limit) const override { return writing_since < limit; }
  void Cut() override { ++cuts; }
  void Close(const absl::Status& why, int most) override {
    closed = why;
    more = most;
  }
  Time writing_since = Time::max();
  int cuts = 0;
  int more = -1;
  absl::Status closed;
};

StreamRegistry::Caller Of(const std::string& tenant, const std::string& method = "WatchJob") {
  return {tenant, std::nullopt, method};
}

class StreamRegistryTest : public testing::Test {
 protected:
  std::shared_ptr<FakeStream> Open(const StreamRegistry::Caller& caller) {
    auto stream = std::make_shared<FakeStream>();
    EXPECT_EQ(absl::OkStatus(), registry_.Add(stream, caller));
    return stream;
  }
  absl::Status Refused(const StreamRegistry::Caller& caller) {
    return registry_.Add(std::make_shared<FakeStream>(), caller);
  }
  StreamRegistry registry_{{.streams = 4, .tenant = {.streams = 3, .downloads = 1}}};
};

TEST_F(StreamRegistryTest, ATenantHasSoManyAndLeavesRoomForOthers) {
  const auto first = Open(Of("a"));
  Open(Of("a"));
  Open(Of("a"));
  const absl::Status own = Refused(Of("a"));
  EXPECT_TRUE(absl::IsResourceExhausted(own)) << own;
  EXPECT_EQ("STREAMS", ErrorReason(own));
  EXPECT_THAT(std::string(own.message()), HasSubstr("tenant a has 3 streams open; the limit is 3"));
  EXPECT_TRUE(RetryAfter(own).has_value());
  Open(Of("b"));
  const absl::Status all = Refused(Of("b"));
  EXPECT_EQ("STREAMS", ErrorReason(all));
  EXPECT_THAT(std::string(all.message()), HasSubstr("the server has 4 streams open"));
  EXPECT_EQ(4, registry_.size());
  registry_.Remove(first.get());
  registry_.Remove(first.get());  // one that was never added, or is gone
  Open(Of("a"));
}

TEST_F(StreamRegistryTest, DownloadsAreCountedApart) {
  const auto download = Open(Of("a", "DownloadVideo"));
  EXPECT_EQ("DOWNLOADS", ErrorReason(Refused(Of("a", "DownloadVideo"))));
  Open(Of("a", "WatchJob"));
  Open(Of("b", "DownloadVideo"));
  registry_.Remove(download.get());
  Open(Of("a", "DownloadVideo"));
}

TEST_F(StreamRegistryTest, ATenantMayHaveLimitsOfItsOwn) {
  registry_.SetTenantLimits({{"a", {.streams = 1, .downloads = 0}}});
  EXPECT_EQ("DOWNLOADS", ErrorReason(Refused(Of("a", "DownloadVideo"))));
  Open(Of("a"));
  EXPECT_EQ("STREAMS", ErrorReason(Refused(Of("a"))));
  Open(Of("b"));
  Open(Of("b"));
}

TEST_F(StreamRegistryTest, OnlyStalledStreamsAreCut) {
  const auto idle = Open(Of("a")), slow = Open(Of("a"));
  slow->writing_since = Time() + std::chrono::seconds(1);
  EXPECT_EQ(0, registry_.CutStalled(Time() + std::chrono::seconds(1)));
  EXPECT_EQ(1, registry_.CutStalled(Time() + std::chrono::seconds(2)));
  EXPECT_EQ(0, idle->cuts);
  EXPECT_EQ(1, slow->cuts);
}

TEST_F(StreamRegistryTest, WhoMayCallNoMoreIsEndedAtOnce) {
  const auto kept = Open({"a", "Bearer good", "WatchJob"});
  const auto revoked = Open({"a", "Bearer bad", "WatchJob"});
  registry_.CloseRefused([](const StreamRegistry::Caller& caller) {
    EXPECT_EQ("WatchJob", caller.method);
    return caller.authorization == "Bearer bad" ? absl::UnauthenticatedError("revoked")
                                                : absl::OkStatus();
  });
  EXPECT_EQ(absl::OkStatus(), kept->closed);
  EXPECT_EQ(absl::UnauthenticatedError("revoked"), revoked->closed);
  EXPECT_EQ(0, revoked->more);
}

TEST_F(StreamRegistryTest, AtShutdownAllEndAndNoneBegins) {
  const auto stream = Open(Of("a"));
  registry_.CloseAll(absl::UnavailableError("draining"));
  EXPECT_EQ(absl::UnavailableError("draining"), stream->closed);
  EXPECT_GT(stream->more, 0);
  EXPECT_EQ(absl::UnavailableError("draining"), Refused(Of("a")));
}

}  // namespace
}  // namespace cogwheel
