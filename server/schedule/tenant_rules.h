#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Why a tenant's jobs wait though a group is idle: it runs as many as it may, or has used up its
// GPU seconds. Owned by the dispatcher's thread.
class TenantRules {
 public:
  struct Limits {
    int64_t running_jobs = 0;  // at once; 0: no limit
    double gpu_seconds = 0;    // within the window; 0: no limit
  };
  explicit TenantRules(ServerMetrics& metrics) : metrics_(metrics) {}

  // A tenant that is not named has no limits.
  void SetLimits(std::map<std::string, Limits> limits, int window_hours);
  // What each has used within the window, as the store has it. What ended since then may be missing
  // until the next time: a quota may be passed by what runs, never by what waits.
  void SetUsed(std::map<std::string, double> gpu_seconds) { used_ = std::move(gpu_seconds); }
  // An attempt of the tenant's has ended.
  void Use(const std::string& tenant, double gpu_seconds);

  struct Hold {
    const char* reason;  // the limit
    std::string words;
  };
  // nullopt when a tenant with so many running jobs may start another.
  std::optional<Hold> Holds(const std::string& tenant, int64_t running_jobs) const;
  using Held = std::set<std::pair<std::string, std::string>>;  // tenant and reason
  // Whose jobs a plan held back: counts each that the plan before did not.
  void Count(Held held);

 private:
  ServerMetrics& metrics_;
  std::map<std::string, Limits> limits_;
  int window_hours_ = 0;
  std::map<std::string, double> used_;
  Held held_;
};

}  // namespace cogwheel
