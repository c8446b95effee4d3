#pragma once

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "base/io_pool.h"
#include "base/mutex.h"
#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Results under the data directory: tmp/<job>-<epoch>-<attempt> while they arrive, then
// artefacts/<2 hex>/<sha256>.<mp4|safetensors>. Written on a pool, each attempt's in a line of its
// own: a sync that takes long holds up no other. Thread-safe.
class ResultFiles final : public ResultStore {
 public:
  // Makes the folders. The tasks of a line of `pool` run in order; it stops before this goes.
  static absl::StatusOr<std::unique_ptr<ResultFiles>> Open(const std::string& data_dir,
                                                           IoPool& pool, ServerMetrics& metrics);

  void Begin(const Attempt& attempt, Answer<std::shared_ptr<ResultWriter>> done) override;
  void CheckRoom(int64_t bytes, Done done) override;
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(const Artefact& artefact) const override;
  void Remove(const Artefact& artefact, const JobStore& jobs) override COGWHEEL_EXCLUDES(mutex_);

  // Both remove what was last written more than `grace` ago, but nothing of an attempt that lives,
  // and block: results that no job owns, and what lies in tmp/.
  absl::Status SweepResults(const JobStore& jobs, std::chrono::seconds grace)
      COGWHEEL_EXCLUDES(mutex_);
  absl::Status SweepTmp(const JobStore& jobs, std::chrono::seconds grace) COGWHEEL_EXCLUDES(mutex_);

 private:
  class Writer;
  ResultFiles(std::string data_dir, IoPool& pool, ServerMetrics& metrics)
      : data_dir_(std::move(data_dir)), pool_(pool), metrics_(metrics) {}
  void Pin(const std::string& sha256) COGWHEEL_EXCLUDES(mutex_);
  // The attempt, and the digest that it pinned, if it did.
  void LetGo(const std::string& attempt, const std::string& sha256) COGWHEEL_EXCLUDES(mutex_);
  // The bytes that stay.
  absl::StatusOr<double> Sweep(const char* folder, const JobStore& jobs, std::chrono::seconds grace)
      COGWHEEL_EXCLUDES(mutex_);
  // True when it is gone: no job owns it, and no attempt writes it.
  absl::StatusOr<bool> RemoveUnowned(const std::filesystem::path& path, const JobStore& jobs)
      COGWHEEL_EXCLUDES(mutex_);

  const std::string data_dir_;
  IoPool& pool_;
  ServerMetrics& metrics_;
  Mutex mutex_;
  std::set<std::string> alive_ COGWHEEL_GUARDED_BY(mutex_);        // attempts: their names in tmp/
  std::map<std::string, int> pinned_ COGWHEEL_GUARDED_BY(mutex_);  // digests that are committed
};

// Where an artefact lies below the data directory.
std::string ArtefactPath(const Artefact& artefact);

}  // namespace cogwheel
