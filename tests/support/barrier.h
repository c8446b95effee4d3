#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "worker/comm/communicator.h"

namespace cogwheel {

// Nobody returns before all have entered: one byte from everybody to everybody.
inline void Barrier(Communicator& comm, StreamHandle stream) {
  std::byte token{1};
  std::vector<std::byte> tokens(comm.size());
  std::vector<std::span<std::byte>> parts;
  for (std::byte& slot : tokens) parts.emplace_back(&slot, 1);
  AllGather(comm, {&token, 1}, parts, stream);
}

}  // namespace cogwheel
