#pragma once

#include <chrono>

namespace cogwheel {

// How long exchanges have held a rank's stream back, on a world and its splits. Owned by the rank
// thread.
class StreamWaits {
 public:
  virtual ~StreamWaits() = default;

  // Since the last call, as far as the device has come. Never waits, for the device neither. Throws
  // CommError on a fault of the device.
  virtual std::chrono::nanoseconds Take() = 0;
};

}  // namespace cogwheel
