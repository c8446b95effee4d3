#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <absl/status/status.h>
#include <absl/status/statusor.h>

#include "base/sha256.h"
#include "server/job/result_store.h"
#include "server/store/files/file_descriptor.h"

namespace cogwheel {

// Of a file that is there or grows. Thread-safe.
class FileReader final : public ResultReader {
 public:
  explicit FileReader(FileDescriptor file) : file_(std::move(file)) {}
  absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const override;

 private:
  const FileDescriptor file_;
};

// A result that is being written: its file in tmp/, with room set aside. At the first error the
// file goes, so that a full disk has its room back. Every call blocks; owned by one thread at a
// time, but for reader().
class ResultFile {
 public:
  static absl::StatusOr<std::unique_ptr<ResultFile>> Create(const std::string& path,
                                                            int64_t most_bytes);
  ~ResultFile() { Discard(); }

  std::shared_ptr<const ResultReader> reader() const { return reader_; }
  absl::Status Append(int64_t offset, std::string_view bytes);
  // DATA_LOSS when size or digest are not as stated. After an error of the store itself it goes on
  // where it was when it is called again.
  absl::Status Commit(const Artefact& stated, const std::string& target);
  void Discard();

 private:
  ResultFile(FileDescriptor file, std::shared_ptr<const ResultReader> reader, std::string path)
      : file_(std::move(file)), reader_(std::move(reader)), path_(std::move(path)) {}
  absl::Status Fail(absl::Status why);
  absl::Status CheckStated(const Artefact& stated);

  FileDescriptor file_;
  const std::shared_ptr<const ResultReader> reader_;
  std::string path_;  // empty once moved or discarded
  absl::Status failed_;
  bool synced_ = false;
  Sha256 sha_;
  int64_t size_ = 0;
};

// Sets room aside in a file. Where the file system cannot do that, nothing happens.
absl::Status SetRoomAside(int fd, int64_t bytes, const std::string& path);

}  // namespace cogwheel
