#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "server/job/job_store.h"
#include "server/job/result_store.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Results under the data directory: tmp/<job>-<epoch>-<attempt> while they arrive, then
// artefacts/<2 hex>/<sha256>.<mp4|safetensors>. Thread-safe.
class ResultFiles final : public ResultStore {
 public:
  // Makes the folders.
  static absl::StatusOr<std::unique_ptr<ResultFiles>> Open(const std::string& data_dir,
                                                           ServerMetrics& metrics);

  absl::StatusOr<std::unique_ptr<ResultWriter>> Begin(const std::string& job, int64_t epoch,
                                                      int32_t attempt) override;
  // DATA_LOSS (CHECKSUM) when the file is not what was committed. Of files above 64 MiB only the
  // size is looked at: the first byte would wait too long for the rest. Who reads one from its
  // start compares the digest.
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(const Artefact& artefact) const override;
  void Remove(const Artefact& artefact) override;
  // Removes results that no job owns and what lies in tmp/, if last written more than `grace` ago:
  // younger ones may be those of a job about to end. Zero before any job runs. Call on the thread
  // that finishes jobs: between commit and Finish a result has no owner.
  absl::Status Sweep(const JobStore& jobs, std::chrono::seconds grace);

 private:
  ResultFiles(std::string data_dir, ServerMetrics& metrics)
      : data_dir_(std::move(data_dir)), metrics_(metrics) {}
  const std::string data_dir_;
  ServerMetrics& metrics_;
};

// Where an artefact lies below the data directory.
std::string ArtefactPath(const Artefact& artefact);
// DATA_LOSS (RESULT_MISSING) when its file is not there.
absl::Status CheckResultFile(const std::string& data_dir, const Artefact& result);

}  // namespace cogwheel
