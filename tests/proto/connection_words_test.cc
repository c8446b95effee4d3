#include "proto/contract/connection_words.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <grpc/support/log.h>
#include <gtest/gtest.h>

#include "base/log.h"
#include "proto/contract/library_logs.h"

namespace cogwheel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// As gRPC 1.51 writes them, each seen.
TEST(ConnectionWords, SayWhatIsWrongAndWhatHelps) {
  const std::string no_connection = "failed to connect to all addresses; last error: ";
  const std::pair<std::string, const char*> cases[] = {
      {no_connection + "UNKNOWN: ipv4:127.0.0.1:1: Failed to connect to remote host: Connection "
                       "refused",
       "is cogwheel-server running there?"},
      {"DNS resolution failed for nosuch:50051: C-ares status is not ARES_SUCCESS qtype=AAAA "
       "name=nosuch is_balancer=0: Domain name not found",
       "the host's name is unknown"},
      {no_connection + "INTERNAL: ipv4:127.0.0.1:7771: Trying to connect an http1.x server",
       "--admin-listen"},
      {no_connection + "UNAVAILABLE: ipv4:127.0.0.1:7780: Socket closed", "--tls-ca"},
      {"Socket closed", "the connection was closed"},
      {no_connection + "UNKNOWN: ipv4:127.0.0.1:7773: connection attempt timed out before "
                       "receiving SETTINGS frame",
       "says nothing"},
      {no_connection + "UNKNOWN: ipv4:127.0.0.1:7780: Ssl handshake failed: SSL_ERROR_SSL: "
                       "error:0A000086:SSL routines::certificate verify failed",
       "not signed by the authority of --tls-ca"},
      {no_connection + "UNKNOWN: ipv4:127.0.0.1:7780: Peer name 127.0.0.1 is not in peer "
                       "certificate",
       "another name"},
      {no_connection + "UNKNOWN: ipv4:127.0.0.1:7781: Ssl handshake failed: SSL_ERROR_SSL: "
                       "error:0A00010B:SSL routines::wrong version number",
       "leave --tls-ca away"},
      {no_connection + "UNKNOWN: ipv6:%5B::1%5D:7: something else", "something else"},
      {"going away", "going away"},
  };
  for (const auto& [message, words] : cases) {
    EXPECT_THAT(ConnectionWords(message),
                AllOf(HasSubstr(words), Not(HasSubstr("ipv")), Not(HasSubstr("failed to connect")),
                      Not(HasSubstr("SSL_")), Not(HasSubstr("ARES"))));
  }
}

TEST(LibraryWords, LeaveOutTreesPlacesAndWhatWeSayOurselves) {
  EXPECT_EQ("", LibraryWords("UNKNOWN:No address added out of total 1 resolved for "
                             "'127.0.0.1:50051' {created_time:\"2026\", children:[UNKNOWN:x]}"));
  EXPECT_EQ("a TLS handshake failed: the caller does not speak TLS",
            LibraryWords("Handshake failed with fatal error SSL_ERROR_SSL: "
                         "error:0A00010B:SSL routines::wrong version number."));
  EXPECT_EQ("a TLS handshake failed: certificate verify failed.",
            LibraryWords("Handshake failed with fatal error SSL_ERROR_SSL: "
                         "error:0A000086:SSL routines::certificate verify failed."));
  EXPECT_EQ("Something", LibraryWords("Something {grpc_status:14}"));
  EXPECT_EQ("a caller uses a name that the certificate does not have: 127.0.0.1.",
            LibraryWords("No match found for server name: 127.0.0.1."));
}

TEST(LibraryLogs, TheSameLineIsTextOnceAMinuteAndJsonEachTime) {
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);  // what starting gRPC does
  TakeLibraryLogs();
  for (const auto& [format, lines] :
       {std::pair(LogFormat::kText, 2), std::pair(LogFormat::kJson, 4)}) {
    SetLogFormat(format);
    testing::internal::CaptureStderr();
    for (const char* line : {"a", "a", "b", "b"}) {
      gpr_log(GPR_ERROR, "%s%d", line, static_cast<int>(format));
    }
    const std::string text = testing::internal::GetCapturedStderr();
    EXPECT_EQ(lines, std::count(text.begin(), text.end(), '\n')) << text;
  }
  SetLogFormat(LogFormat::kAuto);
}

}  // namespace
}  // namespace cogwheel
