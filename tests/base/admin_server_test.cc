#include "base/admin_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/metrics/server_metrics.h"
#include "tests/support/http_get.h"

namespace cogwheel {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

class AdminServerTest : public testing::Test {
 protected:
  void SetUp() override {
    auto server = AdminServer::Start(
        "127.0.0.1:0", {.registry = metrics_.registry,
                        .before_scrape = [this] { metrics_.queue_bytes.Set(++scrapes_); },
                        .live = [] { return ProbeAnswer{true, "ok"}; },
                        .ready = [this] { return ProbeAnswer{ready_, ready_ ? "ok" : "draining"}; },
                        .status = [] { return std::string("{}"); }});
    ASSERT_TRUE(server.ok()) << server.status();
    server_ = *std::move(server);
  }

  ServerMetrics metrics_{MakeRegistry()};
  int scrapes_ = 0;
  bool ready_ = false;
  std::unique_ptr<AdminServer> server_;
};

TEST_F(AdminServerTest, ProbesAnswerWithAReason) {
  EXPECT_THAT(HttpGet(server_->address(), "/livez"), StartsWith("HTTP/1.1 200 OK"));
  const std::string draining = HttpGet(server_->address(), "/readyz");
  EXPECT_THAT(draining, StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(draining, HasSubstr("\r\n\r\ndraining\n"));
  ready_ = true;
  EXPECT_THAT(HttpGet(server_->address(), "/readyz"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(HttpGet(server_->address(), "/statusz"), HasSubstr("\r\n\r\n{}\n"));
  EXPECT_THAT(HttpGet(server_->address(), "/nowhere"), HasSubstr(" 404 Not Found\r\n"));
}

TEST_F(AdminServerTest, HeadIsGetWithoutTheBody) {
  ready_ = true;
  for (const char* path : {"/livez", "/readyz", "/statusz", "/metrics"}) {
    const std::string got = HttpGet(server_->address(), path);
    const std::string head = HttpAnswer(server_->address(), "HEAD", path);
    EXPECT_THAT(head, StartsWith("HTTP/1.1 200 OK\r\n")) << path;
    EXPECT_EQ(head, got.substr(0, got.find("\r\n\r\n") + 4)) << path;
  }
  ready_ = false;
  EXPECT_THAT(HttpAnswer(server_->address(), "HEAD", "/readyz"), StartsWith("HTTP/1.1 503 "));
  EXPECT_THAT(HttpAnswer(server_->address(), "HEAD", "/nowhere"), HasSubstr(" 404 Not Found\r\n"));
}

TEST_F(AdminServerTest, OtherMethodsAreRefusedWithThoseThatAreLegal) {
  for (const char* method : {"POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PROPFIND"}) {
    const std::string refused = HttpAnswer(server_->address(), method, "/metrics");
    EXPECT_THAT(refused, StartsWith("HTTP/1.1 405 Method Not Allowed\r\n")) << method;
    EXPECT_THAT(refused, HasSubstr("\r\nAllow: GET, HEAD\r\n")) << method;
  }
  EXPECT_EQ(scrapes_, 0);
}

TEST_F(AdminServerTest, ServesMetricsUpToDate) {
  metrics_.queue_jobs_accepted_total.Raise(1, {"tiny", "t"});
  metrics_.queue_jobs_accepted_total.Raise(3, {"tiny", "t"});
  metrics_.queue_jobs_accepted_total.Raise(2, {"tiny", "t"});  // a counter never falls
  metrics_.api_rpcs_started_total.Increment({"GetJob"});
  metrics_.api_rpcs_started_total.Increment({"GetJob"}, 2);
  metrics_.dispatch_group_up.Set(1, {"g"});
  metrics_.queue_wait_seconds.Observe(3, {"tiny"});
  const std::string text = HttpGet(server_->address(), "/metrics");
  EXPECT_THAT(text, HasSubstr("Content-Type: text/plain; version=0.0.4"));
  EXPECT_THAT(text,
              HasSubstr("cogwheel_queue_jobs_accepted_total{model=\"tiny\",tenant=\"t\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("cogwheel_api_rpcs_started_total{method=\"GetJob\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("cogwheel_dispatch_group_up{group=\"g\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cogwheel_queue_wait_seconds_bucket{model=\"tiny\",le=\"5\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("cogwheel_queue_bytes 1\n"));
  EXPECT_THAT(text, HasSubstr("cogwheel_api_streams_stalled_total 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("_microseconds")));
}

TEST_F(AdminServerTest, APortIsTakenOnce) {
  const auto second = AdminServer::Start(server_->address(), {.registry = metrics_.registry});
  EXPECT_TRUE(absl::IsUnavailable(second.status()));
  EXPECT_THAT(std::string(second.status().message()), HasSubstr(server_->address()));
}

bool HasIpv6Loopback() {
  const sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
  const int fd = socket(AF_INET6, SOCK_STREAM, 0);
  const bool bound = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(fd);
  return bound;
}

TEST_F(AdminServerTest, ListensOnIpv6) {
  if (!HasIpv6Loopback()) GTEST_SKIP() << "no IPv6 on this host";
  const auto server = AdminServer::Start(
      "[::1]:0", {.registry = metrics_.registry, .live = [] { return ProbeAnswer{true, "ok"}; }});
  ASSERT_TRUE(server.ok()) << server.status();
  EXPECT_THAT((*server)->address(), StartsWith("[::1]:"));
  EXPECT_THAT(HttpGet((*server)->address(), "/livez"), StartsWith("HTTP/1.1 200 OK"));
}

}  // namespace
}  // namespace cogwheel
