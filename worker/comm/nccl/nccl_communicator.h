#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "worker/comm/communicator.h"
#include "worker/comm/stream_waits.h"

namespace cogwheel {

struct NcclWorldOptions {
  int device_idx = 0;
  std::chrono::milliseconds connect_limit{60'000};
  std::chrono::milliseconds time_limit{600'000};  // of any exchange, from its start
};

struct NcclWorld {
  std::unique_ptr<Communicator> communicator;
  std::shared_ptr<StreamWaits> stream_waits;  // of it and its splits
};

// The world communicator of ranks with a GPU each. Exchanges that name a stream carry device memory
// by NCCL; those without carry host memory by `hosts`, which also hands round what NCCL needs to
// connect. Every rank of `hosts` calls it at once, with its device current.
//
// On a stream Start puts the exchange behind what the stream holds, and Finish holds what the
// stream gets later behind the exchange: neither waits for the device, so a peer's fault shows
// later. A watchdog thread finds it (an error of NCCL's, or an exchange older than the limit), ends
// every operation of this world and fails `hosts`, so that whoever waits anywhere gets a CommError
// that names the last exchanges. Sizes are not compared: pieces that disagree end at the time
// limit.
//
// Throws CommError when the ranks do not connect in time, std::invalid_argument in a build without
// CUDA.
NcclWorld ConnectNcclWorld(std::unique_ptr<Communicator> hosts, const NcclWorldOptions& options);

// Of the library in use, "2.28.9"; empty in a build without CUDA.
std::string NcclVersion();

// Keeps NCCL and its neighbours off NVLink multicast, a resource of the whole host that one misuse
// takes from everybody on it. Before the first use of any of them, in every process.
void ForbidNvlinkMulticast();

}  // namespace cogwheel
