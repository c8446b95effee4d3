#include "base/listening.h"

#include <cctype>
#include <cerrno>
#include <cstring>
#include <memory>

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

namespace cogwheel {
namespace {

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

std::string HostOf(const std::string& address) { return address.substr(0, address.rfind(':')); }

// 0, or errno.
int TryToListen(const addrinfo& address) {
  const int fd = socket(address.ai_family, address.ai_socktype | SOCK_CLOEXEC, 0);
  if (fd < 0) return errno;
  // As the libraries do: connections of a server that ended a moment ago hold nobody up.
  const int yes = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
  const bool listens =
      bind(fd, address.ai_addr, address.ai_addrlen) == 0 && listen(fd, /*backlog=*/1) == 0;
  const int failure = listens ? 0 : errno;
  close(fd);
  return failure;
}

std::string Words(int failure) {
  std::string words = std::strerror(failure);
  if (!words.empty()) words[0] = static_cast<char>(std::tolower(words[0]));
  return words;
}

std::string Advice(const ListenPlace& place, int failure) {
  switch (failure) {
    case EADDRINUSE:
      return absl::StrCat(place.holder.empty() ? "" : ", perhaps by " + place.holder, "; ",
                          place.flag, " ", HostOf(place.address), ":0 takes a free port");
    case EACCES:
    case EPERM:
      return "; ports below 1024 are for root: take a higher one";
    case EADDRNOTAVAIL:
      return ": this host has no such address; 127.0.0.1 is for this host alone, 0.0.0.0 is all "
             "that it has";
    case EAFNOSUPPORT:
      return "; an IPv4 address may do, for example 127.0.0.1";
    default:
      return "";
  }
}

absl::Status Refusal(const ListenPlace& place, const std::string& why) {
  return absl::UnavailableError(
      absl::StrCat(place.flag, " ", place.address, place.note, ": ", why));
}

}  // namespace

absl::Status CheckCanListen(const ListenPlace& place) {
  std::string host = HostOf(place.address);
  if (host.starts_with("[") && host.ends_with("]")) host = host.substr(1, host.size() - 2);
  const std::string port = place.address.substr(place.address.rfind(':') + 1);
  addrinfo hints = {};
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int error = getaddrinfo(host.c_str(), port.c_str(), &hints, &found); error != 0) {
    return Refusal(place, absl::StrCat("the host's name is unknown: ", gai_strerror(error)));
  }
  const Addresses addresses(found, &freeaddrinfo);
  int failure = 0;
  for (const addrinfo* one = addresses.get(); one != nullptr; one = one->ai_next) {
    const int here = TryToListen(*one);
    if (here == 0) return absl::OkStatus();  // a name may stand for addresses that are not ours
    if (failure == 0) failure = here;
  }
  return Refusal(place, absl::StrCat(Words(failure), Advice(place, failure)));
}

}  // namespace cogwheel
