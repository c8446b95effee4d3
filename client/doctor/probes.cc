#include "client/doctor/probes.h"

#include <cerrno>
#include <csignal>
#include <cstring>
#include <vector>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <absl/cleanup/cleanup.h>
#include <absl/strings/str_cat.h>

namespace cogwheel {
namespace {

constexpr size_t kProbeBytes = 4 << 20;

sockaddr* Plain(sockaddr_in& address) { return reinterpret_cast<sockaddr*>(&address); }

// Listens on a port that the system chooses and sets `address` to it; -1 with errno.
int ListenOnLoopback(sockaddr_in& address) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  address = {.sin_family = AF_INET, .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
  socklen_t size = sizeof address;
  if (bind(fd, Plain(address), size) == 0 && listen(fd, 1) == 0 &&
      getsockname(fd, Plain(address), &size) == 0) {
    return fd;
  }
  const int failure = errno;
  close(fd);
  errno = failure;
  return -1;
}

Finding LoopbackFault(const std::string& what, int failure) {
  const std::string said = absl::StrCat(what, ": ", std::strerror(failure));
  switch (failure) {
    case EADDRINUSE:
      return {FindingLevel::kFault, "ports", said,
              "end what holds the ports of net.ipv4.ip_local_port_range (ss -tan), or widen it"};
    case EADDRNOTAVAIL:
    case ENETUNREACH:
    case ENETDOWN:
      return {FindingLevel::kFault, "ports", said, "ip link set lo up"};
    case EMFILE:
    case ENFILE:
      return {FindingLevel::kFault, "ports", said, "raise ulimit -n"};
    default:
      return {FindingLevel::kFault, "ports", said,
              "let this process use IPv4 on loopback (sandbox, seccomp, firewall)"};
  }
}

}  // namespace

Finding ProbeLoopback(int port_count) {
  std::vector<int> open;
  const absl::Cleanup close_all = [&open] {
    for (const int fd : open) close(fd);
  };
  sockaddr_in address = {};
  for (int k = 0; k < port_count; ++k) {
    const int fd = ListenOnLoopback(address);
    if (fd < 0) {
      return LoopbackFault(
          absl::StrCat("port ", k + 1, " of ", port_count, " cannot be taken on 127.0.0.1"), errno);
    }
    open.push_back(fd);
  }
  const int caller = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (caller < 0) return LoopbackFault("a socket cannot be opened", errno);
  open.push_back(caller);
  // Loopback answers at once: the listener's queue has room for this one.
  if (connect(caller, Plain(address), sizeof address) != 0 && errno != EINPROGRESS) {
    return LoopbackFault(absl::StrCat("127.0.0.1:", ntohs(address.sin_port), " cannot be reached"),
                         errno);
  }
  return {FindingLevel::kOk, "ports", absl::StrCat(port_count, " on 127.0.0.1"), ""};
}

Finding ProbeFolder(const std::string& folder) {
  const auto fault = [&folder](const std::string& doing, int failure) {
    return Finding{FindingLevel::kFault, "temporary folder",
                   absl::StrCat(folder, ": ", doing, ": ", std::strerror(failure)),
                   failure == EFBIG
                       ? "raise ulimit -f"
                       : "free it, chmod it, or set TMPDIR to a folder that can be written"};
  };
  std::string name = folder + "/cogwheel-doctor-XXXXXX";
  const int fd = mkostemp(name.data(), O_CLOEXEC);
  if (fd < 0) return fault("a file cannot be made", errno);
  unlink(name.c_str());
  std::signal(SIGXFSZ, SIG_IGN);  // a write beyond ulimit -f fails with EFBIG instead
  const std::string bytes(kProbeBytes, 'x');
  ssize_t written = 0;
  for (size_t done = 0; done < bytes.size(); done += static_cast<size_t>(written)) {
    written = write(fd, bytes.data() + done, bytes.size() - done);
    if (written < 0) {
      const Finding found = fault(absl::StrCat("byte ", done, " cannot be written"), errno);
      close(fd);
      return found;
    }
  }
  const bool stored = fsync(fd) == 0;
  const int failure = errno;
  close(fd);
  if (!stored) return fault("it cannot be synced", failure);
  return {FindingLevel::kOk, "temporary folder", folder + " can be written", ""};
}

}  // namespace cogwheel
