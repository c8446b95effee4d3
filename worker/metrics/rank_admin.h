#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include <absl/status/statusor.h>

#include "base/admin_server.h"
#include "base/mutex.h"
#include "worker/journal/flight_recorder.h"
#include "worker/metrics/rank_metrics.h"

namespace cogwheel {

// Of rank k of a host whose --admin-listen is HOST:PORT: HOST:PORT + k; port 0 stays.
std::string AdminAddress(const std::string& address, int local_rank);

// What one rank shows of itself, and the port that shows it. Thread-safe.
class RankAdmin {
 public:
  struct Identity {
    std::string group, model;
    std::string version, nccl_version;
    std::optional<double> peak_operations;  // of the device, a second; nothing: not known
  };
  explicit RankAdmin(Identity identity);

  // For the flight recorder: block times and waits for agreement.
  FlightRecorder::Hooks Hooks();
  // Raised by the pipeline (PipelineOptions).
  const std::shared_ptr<std::atomic<double>>& operations() const { return operations_; }
  // "HOST:PORT"; rank k of a host takes PORT + k (0: chosen by the system). UNAVAILABLE when it
  // cannot listen. `recorder` outlives this.
  absl::Status Listen(const std::string& address, int local_rank, const FlightRecorder& recorder);
  void Close() { server_.reset(); }
  std::string address() const { return server_ == nullptr ? "" : server_->address(); }

  // Seconds by component; "all" is the time from nothing to weights on the device.
  void Loaded(std::map<std::string, double> seconds) COGWHEEL_EXCLUDES(mutex_);
  // The group has formed.
  void Formed(int64_t epoch, int world_rank) COGWHEEL_EXCLUDES(mutex_);
  // The ranks have left a job together, for that reason of JobDone.
  void LeftJob(const std::string& reason) COGWHEEL_EXCLUDES(mutex_);
  // No job is taken any more.
  void Drain() COGWHEEL_EXCLUDES(mutex_);

 private:
  void BeforeScrape(const FlightRecorder& recorder) COGWHEEL_EXCLUDES(mutex_);
  ProbeAnswer Ready() const COGWHEEL_EXCLUDES(mutex_);
  std::string Status(const FlightRecorder& recorder) const COGWHEEL_EXCLUDES(mutex_);
  std::string RankLabel() const COGWHEEL_EXCLUDES(mutex_);

  const Identity identity_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const std::shared_ptr<std::atomic<double>> operations_ = std::make_shared<std::atomic<double>>(0);
  RankMetrics metrics_{MakeRegistry()};
  mutable Mutex mutex_;
  int64_t epoch_ COGWHEEL_GUARDED_BY(mutex_) = 0;  // 0: not formed
  int world_rank_ COGWHEEL_GUARDED_BY(mutex_) = -1;
  bool draining_ COGWHEEL_GUARDED_BY(mutex_) = false;
  std::map<std::string, double> load_seconds_ COGWHEEL_GUARDED_BY(mutex_);  // by component
  std::map<std::string, int64_t> shown_bytes_ COGWHEEL_GUARDED_BY(mutex_);  // by op
  std::unique_ptr<AdminServer> server_;  // last: stops before what it reads goes
};

}  // namespace cogwheel
