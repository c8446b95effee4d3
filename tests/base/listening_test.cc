#include "base/listening.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using testing::HasSubstr;

class BusyPort {
 public:
  BusyPort() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    bind(fd_, reinterpret_cast<sockaddr*>(&address), size);
    listen(fd_, 1);
    getsockname(fd_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }
  ~BusyPort() { close(fd_); }
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  int fd_;
  int port_ = 0;
};

TEST(Listening, AFreePortIsTakenByNobody) {
  std::string address;
  {
    const BusyPort busy;
    address = busy.address();
  }
  for (const std::string& free : {std::string("127.0.0.1:0"), std::string("localhost:0"), address,
                                  address}) {  // the probe leaves nothing behind
    EXPECT_TRUE(CheckCanListen({"--listen", free, "", ""}).ok()) << free;
  }
}

TEST(Listening, ARefusalSaysWhyAndWhatHelps) {
  const BusyPort busy;
  const absl::Status taken =
      CheckCanListen({"--listen", busy.address(), " (the default)", "another cogwheel-server"});
  EXPECT_TRUE(absl::IsUnavailable(taken));
  EXPECT_EQ("--listen " + busy.address() +
                " (the default): address already in use, perhaps by another cogwheel-server; "
                "--listen 127.0.0.1:0 takes a free port",
            taken.message());
  EXPECT_THAT(std::string(CheckCanListen({"--listen", "192.0.2.1:0", "", ""}).message()),
              HasSubstr("cannot assign requested address: this host has no such address"));
  EXPECT_THAT(std::string(CheckCanListen({"--listen", "no-such-host.invalid:0", "", ""}).message()),
              HasSubstr("the host's name is unknown"));
}

}  // namespace
}  // namespace cogwheel
