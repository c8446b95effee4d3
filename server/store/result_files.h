#pragma once

#include <memory>
#include <string>

#include "server/queue/result_store.h"

namespace cogwheel {

// Results under the data directory: tmp/<job>-<epoch>-<attempt> while they arrive, then
// artefacts/<2 hex>/<sha256>.<mp4|safetensors>. Thread-safe.
class ResultFiles final : public ResultStore {
 public:
  // Makes the folders and removes what earlier attempts left in tmp/.
  static absl::StatusOr<std::unique_ptr<ResultFiles>> Open(const std::string& data_dir);

  absl::StatusOr<std::unique_ptr<ResultWriter>> Begin(const std::string& job, int64_t epoch,
                                                      int32_t attempt) override;
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(const Artefact& artefact) const override;
  void Remove(const Artefact& artefact) override;

 private:
  explicit ResultFiles(std::string data_dir) : data_dir_(std::move(data_dir)) {}
  const std::string data_dir_;
};

// Where an artefact lies below the data directory.
std::string ArtefactPath(const Artefact& artefact);

}  // namespace cogwheel
