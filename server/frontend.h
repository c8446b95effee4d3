#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "base/clock.h"
#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

// A whole frontend, wired and serving. Owned by one thread.
class Frontend {
 public:
  struct Addresses {
    std::string listen, internal, admin;  // with the ports in use
  };
  // `config` has passed CheckServerConfig. FAILED_PRECONDITION for a data directory that cannot be
  // used, UNAVAILABLE for an address.
  static absl::StatusOr<std::unique_ptr<Frontend>> Start(const config::v1::ServerConfig& config,
                                                         const Clock& clock);
  virtual ~Frontend() = default;

  virtual const Addresses& addresses() const = 0;
  // Health says no; no job is accepted or started any more.
  virtual void Drain() = 0;
  virtual bool Busy() const = 0;        // a job runs
  virtual int streams_cut() const = 0;  // of readers that took nothing
  // Gives up what runs, ends all streams and stops.
  virtual void Stop() = 0;
};

}  // namespace cogwheel
