#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/io_pool.h"
#include "server/job/input_store.h"
#include "server/metrics/server_metrics.h"

namespace cogwheel {

// Inputs in files: inputs/<sha256> under the data directory, read and written in two lines of a
// pool. Thread-safe.
class InputFiles final : public InputStore {
 public:
  // Makes the folder.
  static absl::StatusOr<std::unique_ptr<InputFiles>> Open(const std::string& data_dir, IoPool& pool,
                                                          ServerMetrics& metrics);

  void Put(Bytes bytes, Answer<std::string> done) override;
  void Read(const std::string& sha256, Answer<Bytes> done) override;
  absl::StatusOr<std::unique_ptr<InputWriter>> Begin() override;

  // Removes the files that `wanted` denies and that were put more than `grace` ago: of younger ones
  // the job may be about to be stored. Blocks. The first error of `wanted`, or of reading the
  // folder, ends it.
  absl::Status Sweep(const std::function<absl::StatusOr<bool>(const std::string& sha256)>& wanted,
                     std::chrono::seconds grace) const;

 private:
  InputFiles(std::filesystem::path data_dir, IoPool& pool, ServerMetrics& metrics)
      : data_dir_(std::move(data_dir)), pool_(pool), metrics_(metrics) {}
  std::filesystem::path PathOf(const std::string& sha256) const;
  // Of its own: two may bring the same bytes at once.
  std::filesystem::path TemporaryPath() const;
  absl::StatusOr<std::string> Write(const std::string& bytes);
  absl::StatusOr<Bytes> ReadNow(const std::string& sha256) const;

  const std::filesystem::path data_dir_;
  IoPool& pool_;
  ServerMetrics& metrics_;
};

}  // namespace cogwheel
