#pragma once

#include <memory>
#include <string>

#include <netdb.h>

// Where a rank listens for its peers.
namespace cogwheel {

// HOST:PORT. IPv6 hosts stand in brackets.
struct HostPort {
  std::string host;
  std::string port;
};
// Throws CommError when there is no port.
HostPort SplitAddress(const std::string& address);

using AddressList = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

// What the system makes of HOST:PORT, to connect to or (`passive`) to bind; at least one. Throws
// CommError.
AddressList Resolve(const std::string& address, bool passive);

}  // namespace cogwheel
