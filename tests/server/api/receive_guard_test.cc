#include "server/api/receive_guard.h"

#include <array>
#include <atomic>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cogwheel {
namespace {

constexpr int kMiB = 1 << 20;

// Three connections to a port of this process.
class ReceiveGuardTest : public testing::Test {
 protected:
  void SetUp() override {
    listener_ = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    ASSERT_EQ(0, bind(listener_, reinterpret_cast<sockaddr*>(&address), size));
    ASSERT_EQ(0, listen(listener_, 8));
    getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
    for (size_t i = 0; i < clients_.size(); ++i) {
      clients_[i] = socket(AF_INET, SOCK_STREAM, 0);
      ASSERT_EQ(0, connect(clients_[i], reinterpret_cast<sockaddr*>(&address), size));
      servers_[i] = accept(listener_, nullptr, nullptr);
    }
  }
  void TearDown() override {
    for (const int fd : clients_) close(fd);
    for (const int fd : servers_) close(fd);
    close(listener_);
  }
  // Read on the other side too: as a server that gathers them.
  void Send(int client, int bytes) {
    std::string piece(64 * 1024, 'x');
    for (int sent = 0; sent < bytes; sent += static_cast<int>(piece.size())) {
      ASSERT_EQ(piece.size(), send(clients_[client], piece.data(), piece.size(), MSG_NOSIGNAL));
      ASSERT_EQ(piece.size(), recv(servers_[client], piece.data(), piece.size(), MSG_WAITALL));
    }
  }
  bool CutWithin(int client, int milliseconds) {
    pollfd wait{clients_[client], POLLIN, 0};
    char byte = 0;
    return poll(&wait, 1, milliseconds) == 1 && recv(clients_[client], &byte, 1, 0) <= 0;
  }

  int listener_ = -1, port_ = 0;
  std::array<int, 3> clients_{}, servers_{};
  std::atomic<int64_t> resident_{0};
};

TEST_F(ReceiveGuardTest, WhoSentMostSinceItWasSmallIsCut) {
  Send(0, 8 * kMiB);  // long ago
  std::atomic<int> looked = 0;
  const ReceiveGuard guard({.port = port_, .most_bytes = 4 * kMiB, .resident_bytes = [&] {
                              ++looked;
                              return resident_.load();
                            }});
  while (looked < 3) std::this_thread::yield();
  Send(0, kMiB / 2);
  Send(1, 6 * kMiB);
  Send(2, 2 * kMiB);
  resident_ = 5 * kMiB;  // 1 MiB too much, and half of 4 MiB: the second's 6 will do
  EXPECT_TRUE(CutWithin(1, 10'000));
  resident_ = 3 * kMiB;
  EXPECT_FALSE(CutWithin(0, 200));
  EXPECT_FALSE(CutWithin(2, 0));
}

TEST_F(ReceiveGuardTest, WhoSentLittleIsLetBeHoweverLargeTheProcessIs) {
  Send(0, kMiB / 2);
  resident_ = 100 * kMiB;
  const ReceiveGuard guard(
      {.port = port_, .most_bytes = kMiB, .resident_bytes = [&] { return resident_.load(); }});
  EXPECT_FALSE(CutWithin(0, 500));
}

}  // namespace
}  // namespace cogwheel
