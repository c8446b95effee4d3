#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

namespace cogwheel {

// The images that unfinished jobs start from: inputs/<sha256> under the data directory. Used by the
// store writer's thread only.
class InputFiles {
 public:
  // Makes the folder.
  static absl::StatusOr<InputFiles> Open(const std::string& data_dir);

  // Durable when it returns. A file of the same digest is written again: the old one may be torn.
  absl::Status Write(const std::string& sha256, const std::string& bytes) const;
  // DATA_LOSS when the bytes are not there or not those of the digest.
  absl::StatusOr<std::string> Read(const std::string& sha256) const;
  void Remove(const std::string& sha256) const;
  // Removes the files that `owned` denies; the first error of `owned`, or of reading the folder,
  // ends it.
  absl::Status Sweep(const std::function<absl::StatusOr<bool>(const std::string& sha256)>& owned);

 private:
  explicit InputFiles(std::filesystem::path data_dir) : data_dir_(std::move(data_dir)) {}
  std::filesystem::path PathOf(const std::string& sha256) const;
  std::filesystem::path data_dir_;
};

}  // namespace cogwheel
