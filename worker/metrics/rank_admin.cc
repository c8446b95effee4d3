#include "worker/metrics/rank_admin.h"

#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

namespace cogwheel {
namespace {

double Seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace

std::string AdminAddress(const std::string& address, int local_rank) {
  const size_t colon = address.rfind(':');
  if (colon == std::string::npos) return address;
  int port = 0;
  std::from_chars(address.data() + colon + 1, address.data() + address.size(), port);
  if (port == 0) return address;
  return address.substr(0, colon + 1) + std::to_string(port + local_rank);
}

RankAdmin::RankAdmin(Identity identity) : identity_(std::move(identity)) {
  metrics_.build_info.Set(1, {identity_.version, identity_.nccl_version});
}

std::string RankAdmin::RankLabel() const {
  const MutexLock lock(mutex_);
  return std::to_string(world_rank_);
}

FlightRecorder::Hooks RankAdmin::Hooks() {
  return {.on_block_end =
              [this](const FlightRecorder::EndedBlock& block) {
                const std::string rank = RankLabel();
                metrics_.pipeline_busy_seconds_total.Increment(
                    {std::string(BlockName(block.kind)), identity_.group, rank},
                    Seconds(block.took));
                if (block.kind != BlockKind::kStep || !block.whole) return;
                const std::vector<std::string> labels = {identity_.model, identity_.group, rank};
                metrics_.pipeline_steps_total.Increment(labels);
                metrics_.pipeline_step_duration_seconds.Observe(Seconds(block.took), labels);
                metrics_.parallel_step_wait_seconds_total.Increment(labels, Seconds(block.waited));
              },
          .on_agreed =
              [this](std::chrono::nanoseconds took) {
                metrics_.pipeline_step_agreement_seconds.Observe(Seconds(took), {identity_.group});
              }};
}

absl::Status RankAdmin::Listen(const std::string& address, int local_rank,
                               const FlightRecorder& recorder) {
  auto server = AdminServer::Start(AdminAddress(address, local_rank),
                                   {.registry = metrics_.registry,
                                    .before_scrape = [this, &recorder] { BeforeScrape(recorder); },
                                    // A rank that hangs is ended by its watchdog, not by a probe.
                                    .live = [] { return ProbeAnswer{true, "ok"}; },
                                    .ready = [this] { return Ready(); },
                                    .status = [this, &recorder] { return Status(recorder); }});
  if (!server.ok()) return server.status();
  server_ = *std::move(server);
  return absl::OkStatus();
}

void RankAdmin::Loaded(std::map<std::string, double> seconds) {
  const MutexLock lock(mutex_);
  load_seconds_ = std::move(seconds);
}

void RankAdmin::Formed(int64_t epoch, int world_rank) {
  const MutexLock lock(mutex_);
  epoch_ = epoch;
  world_rank_ = world_rank;
  metrics_.launch_cold_start_seconds.Set(Seconds(std::chrono::steady_clock::now() - started_),
                                         {identity_.group});
  if (identity_.peak_operations.has_value()) {
    metrics_.device_peak_operations.Set(*identity_.peak_operations,
                                        {identity_.group, std::to_string(world_rank)});
  }
  for (const auto& [component, seconds] : load_seconds_) {
    metrics_.model_load_duration_seconds.Set(
        seconds, {component, identity_.group, std::to_string(world_rank)});
  }
}

void RankAdmin::LeftJob(const std::string& reason) {
  metrics_.rank_jobs_failed_total.Increment({reason, identity_.group, RankLabel()});
}

void RankAdmin::Drain() {
  const MutexLock lock(mutex_);
  draining_ = true;
}

void RankAdmin::BeforeScrape(const FlightRecorder& recorder) {
  metrics_.ready.Set(Ready().ok ? 1 : 0);
  const std::map<std::string, int64_t> sent = recorder.sent_bytes();
  const MutexLock lock(mutex_);
  if (*operations_ > 0) {
    metrics_.pipeline_operations_total.Raise(
        *operations_, {identity_.model, identity_.group, std::to_string(world_rank_)});
  }
  for (const auto& [op, bytes] : sent) {
    const int64_t more = bytes - std::exchange(shown_bytes_[op], bytes);
    metrics_.parallel_collective_bytes_total.Increment(
        {op, identity_.group, std::to_string(world_rank_)}, static_cast<double>(more));
  }
}

ProbeAnswer RankAdmin::Ready() const {
  const MutexLock lock(mutex_);
  if (draining_) return {false, "draining"};
  if (epoch_ == 0) return {false, "the group has not formed"};
  return {true, "ok"};
}

std::string RankAdmin::Status(const FlightRecorder& recorder) const {
  const FlightRecorder::Block block = recorder.block();
  const auto now = std::chrono::steady_clock::now();
  const MutexLock lock(mutex_);
  const nlohmann::json status = {{"group", identity_.group},
                                 {"model", identity_.model},
                                 {"version", identity_.version},
                                 {"epoch", epoch_},
                                 {"rank", world_rank_},
                                 {"draining", draining_},
                                 {"uptime_seconds", Seconds(now - started_)},
                                 {"stage", BlockName(block.kind)},
                                 {"blocks", block.number},
                                 {"exchanges", recorder.last_sequence()}};
  return status.dump();
}

}  // namespace cogwheel
