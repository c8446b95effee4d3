#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "server/job/input_store.h"
#include "server/store/files/file_descriptor.h"

namespace cogwheel {

// An input that is being written: its file in tmp/, until it is moved to its digest.
class InputFile final : public InputWriter {
 public:
  static absl::StatusOr<std::unique_ptr<InputWriter>> Create(std::filesystem::path temporary,
                                                             std::filesystem::path folder);
  ~InputFile() override;

  absl::Status Append(std::string_view bytes) override;
  absl::StatusOr<std::string> Contents() const override;
  absl::Status Commit(const std::string& sha256) override;

 private:
  InputFile(FileDescriptor file, std::filesystem::path temporary, std::filesystem::path folder)
      : file_(std::move(file)), temporary_(std::move(temporary)), folder_(std::move(folder)) {}

  const FileDescriptor file_;
  std::filesystem::path temporary_;  // empty once moved
  const std::filesystem::path folder_;
};

}  // namespace cogwheel
