#include "server/stores.h"

#include <chrono>
#include <string>
#include <utility>

#include "server/store/sqlite/sqlite_job_store.h"

namespace cogwheel {
namespace {

// Threads cost little while they wait, and each line waits for its own disk.
constexpr IoPool::Limits kIoLimits = {.threads = 16};
constexpr IoPool::Limits kResultLimits = {.threads = 32, .in_order = true};

}  // namespace

absl::StatusOr<Stores> Stores::Open(const config::v1::ServerConfig& config) {
  constexpr std::chrono::seconds kNoGrace{0};  // nothing lives yet
  absl::StatusOr<DataDirLock> lock = DataDirLock::Take(config.data_dir());
  if (!lock.ok()) return lock.status();
  auto metrics = std::make_unique<ServerMetrics>(MakeRegistry());
  auto io = std::make_unique<IoPool>(kIoLimits);
  auto results = std::make_unique<IoPool>(kResultLimits);
  auto result_files = ResultFiles::Open(config.data_dir(), *results, *metrics);
  if (!result_files.ok()) return result_files.status();
  // One picture after the other: their syncs share the disk with those of the job database.
  auto input_files = InputFiles::Open(config.data_dir(), *results, *metrics);
  if (!input_files.ok()) return input_files.status();
  auto jobs = SqliteJobStore::Open({.data_dir = config.data_dir()}, *metrics);
  if (!jobs.ok()) return jobs.status();
  absl::Status swept = (*result_files)->SweepTmp(**jobs, kNoGrace);
  if (swept.ok()) {
    swept = (*input_files)
                ->Sweep([&](const std::string& sha256) { return (*jobs)->WantsInput(sha256); },
                        kNoGrace);
  }
  if (!swept.ok()) return swept;
  OperateStore& operate = (*jobs)->operate();
  InputRows& input_rows = (*jobs)->inputs();
  return Stores{*std::move(lock),
                std::move(metrics),
                std::move(io),
                std::move(results),
                *std::move(result_files),
                *std::move(input_files),
                *std::move(jobs),
                &operate,
                &input_rows};
}

}  // namespace cogwheel
