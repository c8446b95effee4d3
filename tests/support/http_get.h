#pragma once

#include <string>

#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cogwheel {

// The whole answer to one request. address: HOST:PORT, an IPv6 host in brackets.
inline std::string HttpAnswer(const std::string& address, const std::string& method,
                              const std::string& path) {
  const size_t colon = address.rfind(':');
  std::string host = address.substr(0, colon);
  if (host.starts_with("[")) host = host.substr(1, host.size() - 2);
  addrinfo* to = nullptr;
  const addrinfo hints = {.ai_socktype = SOCK_STREAM};
  EXPECT_EQ(0, getaddrinfo(host.c_str(), address.c_str() + colon + 1, &hints, &to)) << address;
  if (to == nullptr) return "";
  const int fd = socket(to->ai_family, SOCK_STREAM, 0);
  const timeval limit = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  EXPECT_EQ(0, connect(fd, to->ai_addr, to->ai_addrlen));
  freeaddrinfo(to);
  const std::string request = method + " " + path + " HTTP/1.0\r\n\r\n";
  EXPECT_EQ(request.size(), write(fd, request.data(), request.size()));
  std::string answer(65536, '\0');
  size_t size = 0;
  for (ssize_t got = 1; got > 0 && size < answer.size(); size += std::max<ssize_t>(got, 0)) {
    got = read(fd, answer.data() + size, answer.size() - size);
  }
  close(fd);
  answer.resize(size);
  return answer;
}

inline std::string HttpGet(const std::string& address, const std::string& path) {
  return HttpAnswer(address, "GET", path);
}

}  // namespace cogwheel
