#pragma once

#include <functional>

#include "client/shutdown_signals.h"

namespace cogwheel {

// What the main thread does while a command's work runs on another one.
struct InterruptionHandlers {
  std::function<void()> ask;    // first signal: ask the work to end; may block for seconds
  std::function<void()> stop;   // the work did not end in time, or `check` failed: make it end
  std::function<void()> leave;  // second signal: remove what must not stay; then the process exits
  std::function<bool()> check;  // a few times a second; false: the work cannot succeed any more
};

// Runs `work` to its end. True if a signal came meanwhile.
bool RunInterruptible(ShutdownSignals& signals, const std::function<void()>& work,
                      const InterruptionHandlers& handlers);

}  // namespace cogwheel
