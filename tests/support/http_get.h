#pragma once

#include <string>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace cogwheel {

// The whole answer to one GET.
inline std::string HttpGet(const std::string& address, const std::string& path) {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in to = {};
  to.sin_family = AF_INET;
  to.sin_port = htons(std::stoi(address.substr(address.rfind(':') + 1)));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const timeval limit = {.tv_sec = 10, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  EXPECT_EQ(0, connect(fd, reinterpret_cast<const sockaddr*>(&to), sizeof to));
  const std::string request = "GET " + path + " HTTP/1.0\r\n\r\n";
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

}  // namespace cogwheel
