#pragma once

#include <functional>
#include <memory>
#include <string>

#include <absl/status/statusor.h>

namespace prometheus {
class Registry;
}

namespace cogwheel {

// What /livez and /readyz answer: 200 when `ok`, else 503; `text` says why.
struct ProbeAnswer {
  bool ok = false;
  std::string text;
};

// Plain HTTP for those that watch: /metrics, /livez, /readyz, /statusz. Handlers are called on its
// threads.
class AdminServer {
 public:
  struct Handlers {
    std::shared_ptr<prometheus::Registry> registry;
    std::function<void()> before_scrape;  // brings gauges up to date
    std::function<ProbeAnswer()> live;
    std::function<ProbeAnswer()> ready;
    std::function<std::string()> status;  // JSON, for people
  };
  // `address` is HOST:PORT; port 0 is chosen by the system. UNAVAILABLE when it cannot listen.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(const std::string& address,
                                                            Handlers handlers);
  virtual ~AdminServer() = default;
  virtual std::string address() const = 0;
};

}  // namespace cogwheel
