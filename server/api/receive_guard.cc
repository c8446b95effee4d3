#include "server/api/receive_guard.h"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>
#include <vector>

#include <arpa/inet.h>
#include <linux/tcp.h>
#include <malloc.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "base/log.h"

namespace cogwheel {
namespace {

constexpr std::chrono::milliseconds kLook{50};
constexpr int kLooksToSettle = 3, kLooksASecond = 20;
constexpr uint64_t kHarmless = 1 << 20;  // bytes: who has sent less is not cut

struct Connection {
  int fd = -1;
  std::string peer;
  uint64_t received = 0;  // bytes
};

// Address and port, of either family.
using NameOf = int (*)(int, sockaddr*, socklen_t*);
std::optional<std::pair<std::string, int>> EndOf(int fd, NameOf name_of) {
  sockaddr_storage storage{};
  socklen_t size = sizeof(storage);
  if (name_of(fd, reinterpret_cast<sockaddr*>(&storage), &size) != 0) return std::nullopt;
  char text[INET6_ADDRSTRLEN] = {};
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    inet_ntop(AF_INET, &v4.sin_addr, text, sizeof(text));
    return std::pair(std::string(text), ntohs(v4.sin_port));
  }
  if (storage.ss_family != AF_INET6) return std::nullopt;
  const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
  inet_ntop(AF_INET6, &v6.sin6_addr, text, sizeof(text));
  return std::pair(std::string(text), ntohs(v6.sin6_port));
}

std::optional<Connection> ConnectionOf(int fd, int port) {
  const auto own = EndOf(fd, &getsockname);
  if (!own.has_value() || own->second != port) return std::nullopt;
  const auto peer = EndOf(fd, &getpeername);
  if (!peer.has_value()) return std::nullopt;  // it listens
  tcp_info info{};
  socklen_t size = sizeof(info);
  if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return std::nullopt;
  return Connection{fd, absl::StrCat(peer->first, " ", peer->second), info.tcpi_bytes_received};
}

std::vector<Connection> ConnectionsOf(int port) {
  std::vector<Connection> found;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd", error)) {
    const std::string name = entry.path().filename().string();
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    std::optional<Connection> connection = ConnectionOf(fd, port);
    if (connection.has_value()) found.push_back(*std::move(connection));
  }
  return found;
}

}  // namespace

int64_t ReceiveGuard::ResidentBytes() {
  int64_t pages = 0, resident = 0;
  std::ifstream("/proc/self/statm") >> pages >> resident;
  return resident * sysconf(_SC_PAGESIZE);
}

ReceiveGuard::ReceiveGuard(Parts parts) : parts_(std::move(parts)), thread_([this] { Run(); }) {}

ReceiveGuard::~ReceiveGuard() {
  {
    MutexLock lock(mutex_);
    stopped_ = true;
  }
  changed_.NotifyAll();
  thread_.join();
}

void ReceiveGuard::Run() {
  for (;;) {
    {
      MutexLock lock(mutex_);
      if (changed_.WaitFor(mutex_, kLook,
                           [this]() COGWHEEL_REQUIRES(mutex_) { return stopped_; })) {
        return;
      }
    }
    Look();
  }
}

void ReceiveGuard::Look() {
  const int64_t resident = parts_.resident_bytes();
  const bool small = resident < parts_.most_bytes / 2;
  if (small && looks_++ % kLooksASecond == 0) {
    received_.clear();
    for (const Connection& each : ConnectionsOf(parts_.port)) received_[each.peer] = each.received;
  }
  if (looks_left_ > 0) {
    if (--looks_left_ == 0) malloc_trim(0);
    return;
  }
  if (resident <= parts_.most_bytes) return;
  malloc_trim(0);  // what was freed and kept is no reason
  const int64_t excess = parts_.resident_bytes() - parts_.most_bytes;
  if (excess <= 0) return;
  CutGreediest(excess);
  looks_left_ = kLooksToSettle;
}

// Half of what it may take goes: each connection's part of it is known roughly only.
void ReceiveGuard::CutGreediest(int64_t excess_bytes) const {
  std::vector<Connection> connections = ConnectionsOf(parts_.port);
  for (Connection& each : connections) {
    const auto before = received_.find(each.peer);
    if (before != received_.end()) each.received -= std::min(each.received, before->second);
  }
  std::ranges::sort(connections, std::greater<>(), &Connection::received);
  int64_t left = excess_bytes + parts_.most_bytes / 2;
  int cut = 0;
  for (const Connection& each : connections) {
    if (left <= 0 || each.received < kHarmless) break;
    if (!ConnectionOf(each.fd, parts_.port).has_value()) continue;  // closed meanwhile
    shutdown(each.fd, SHUT_RDWR);
    left -= static_cast<int64_t>(each.received);
    ++cut;
  }
  if (cut == 0) return;
  Log(LogLevel::kWarning, "connections were cut: requests that arrive take too much memory",
      {{"connections", absl::StrCat(cut)},
       {"limit", absl::StrCat(parts_.most_bytes)},
       {"above", absl::StrCat(excess_bytes)}});
}

}  // namespace cogwheel
