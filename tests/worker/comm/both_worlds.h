#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/support/spawn_ranks.h"
#include "worker/comm/mailbox/local_communicator.h"
#include "worker/comm/mailbox/mailbox_communicator.h"

// Both CPU communicators for the same tests: ranks as threads, and ranks over loopback TCP.
namespace cogwheel {

using World = std::vector<std::unique_ptr<MailboxCommunicator>>;
using Bytes = std::vector<std::byte>;

inline Bytes Filled(size_t size, int seed) {
  std::mt19937 numbers(seed);
  Bytes bytes(size);
  for (std::byte& b : bytes) b = static_cast<std::byte>(numbers());
  return bytes;
}

inline Communicator::Ticket Send(Communicator& comm, int to, std::span<const std::byte> data) {
  const std::array sends{SendPiece{.peer = to, .data = data}};
  return comm.Start(sends, {}, nullptr);
}

inline Communicator::Ticket Receive(Communicator& comm, int from, std::span<std::byte> data) {
  const std::array recvs{RecvPiece{.peer = from, .data = data}};
  return comm.Start({}, recvs, nullptr);
}

inline Bytes Take(Communicator& comm, int from, size_t size) {
  Bytes data(size);
  comm.Finish(Receive(comm, from, data));
  return data;
}

struct WorldKind {
  const char* name;
  World (*make)(int size, std::chrono::milliseconds time_limit, const LocalWorldOptions& options);
};

class BothWorlds : public testing::TestWithParam<WorldKind> {
 protected:
  static World Make(int size, std::chrono::milliseconds time_limit = std::chrono::seconds(20),
                    int64_t held_bytes_per_peer = int64_t{1} << 30) {
    return GetParam().make(size, time_limit, {.held_bytes_per_peer = held_bytes_per_peer});
  }
};

inline auto AllWorldKinds() {
  return testing::Values(WorldKind{"Local", MakeLocalWorld}, WorldKind{"Socket", MakeSocketWorld});
}

inline std::string NameOfWorldKind(const testing::TestParamInfo<WorldKind>& info) {
  return info.param.name;
}

}  // namespace cogwheel
