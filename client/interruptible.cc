#include "client/interruptible.h"

#include <atomic>
#include <chrono>
#include <optional>
#include <thread>

#include <unistd.h>

#include "client/exit_code.h"

namespace cogwheel {

bool RunInterruptible(ShutdownSignals& signals, const std::function<void()>& work,
                      const InterruptionHandlers& handlers) {
  using std::chrono::steady_clock;
  constexpr std::chrono::milliseconds kPoll{200};
  constexpr std::chrono::seconds kTimeToEnd{10};
  WakeUp done_signal;
  std::atomic<bool> done = false;
  std::jthread worker([&] {
    work();
    done = true;
    done_signal.Notify();
  });
  std::jthread asker;
  std::optional<steady_clock::time_point> stop_at;
  bool stopped = false, interrupted = false;
  while (!done) {
    if (signals.Wait(kPoll, done_signal.fd())) {
      if (interrupted) {
        handlers.leave();
        _exit(static_cast<int>(ExitCode::kCancelled));
      }
      interrupted = true;
      stop_at = steady_clock::now() + kTimeToEnd;
      asker = std::jthread([&handlers] { handlers.ask(); });
    }
    if (!stop_at.has_value() && !handlers.check()) stop_at = steady_clock::now();
    if (!stopped && stop_at.has_value() && steady_clock::now() >= *stop_at) {
      stopped = true;
      handlers.stop();
    }
  }
  return interrupted;
}

}  // namespace cogwheel
