#pragma once

#include <memory>

#include <absl/status/statusor.h>

#include "base/io_pool.h"
#include "cogwheel/config/v1/config.pb.h"
#include "server/job/input_rows.h"
#include "server/job/job_store.h"
#include "server/job/operate_store.h"
#include "server/metrics/server_metrics.h"
#include "server/store/files/data_dir_lock.h"
#include "server/store/files/input_files.h"
#include "server/store/files/result_files.h"

namespace cogwheel {

// What lasts, in one data directory, and the threads that wait for its disk. Each is open before
// those below it.
struct Stores {
  DataDirLock lock;
  std::unique_ptr<ServerMetrics> metrics;
  std::unique_ptr<IoPool> io;       // calls and streams, each tenant in a line
  std::unique_ptr<IoPool> results;  // each attempt in a line, and pictures in one
  std::unique_ptr<ResultFiles> result_files;
  std::unique_ptr<InputFiles> input_files;
  std::unique_ptr<JobStore> jobs;
  OperateStore* operate = nullptr;  // a part of jobs
  InputRows* input_rows = nullptr;  // too

  // What a former process left in the middle is gone. FAILED_PRECONDITION for a data directory that
  // cannot be used.
  static absl::StatusOr<Stores> Open(const config::v1::ServerConfig& config);
};

}  // namespace cogwheel
