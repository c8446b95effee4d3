#include "server/store/files/result_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <system_error>

#include <fcntl.h>

#include <absl/strings/str_cat.h>

#include "base/failpoint.h"
#include "base/log.h"
#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"
#include "server/store/files/file_descriptor.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kFileMode = 0640;

class FileReader final : public ResultReader {
 public:
  explicit FileReader(FileDescriptor file) : file_(std::move(file)) {}

  absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const override {
    std::string bytes(static_cast<size_t>(max_bytes), '\0');
    int64_t count = 0;
    while (count < max_bytes) {
      const ssize_t got = pread(file_.fd(), bytes.data() + count,
                                static_cast<size_t>(max_bytes - count), offset + count);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) {
        return MakeError(absl::StatusCode::kDataLoss, "READ_ERROR",
                         absl::StrCat("the result cannot be read: ", std::strerror(errno)));
      }
      if (got == 0) break;
      count += got;
    }
    bytes.resize(static_cast<size_t>(count));
    return bytes;
  }

 private:
  const FileDescriptor file_;
};

class FileWriter final : public ResultWriter {
 public:
  FileWriter(FileDescriptor file, std::shared_ptr<const ResultReader> reader, std::string path,
             std::string data_dir)
      : file_(std::move(file)),
        reader_(std::move(reader)),
        path_(std::move(path)),
        data_dir_(std::move(data_dir)) {}

  ~FileWriter() override {
    if (!path_.empty()) unlink(path_.c_str());
  }

  absl::Status Append(int64_t offset, std::string_view data) override {
    if (offset != size_) {
      return MakeError(
          absl::StatusCode::kInvalidArgument, "RESULT_ORDER",
          absl::StrCat("a piece of the result has offset ", offset, " instead of ", size_));
    }
    const absl::Status written = WriteAll(file_.fd(), data, path_);
    if (!written.ok()) return written;
    Failpoint("result.after_append");
    sha_.Update(data);
    size_ += static_cast<int64_t>(data.size());
    return absl::OkStatus();
  }

  std::shared_ptr<const ResultReader> reader() const override { return reader_; }

  absl::Status Commit(const Artefact& stated) override {
    const std::string sha256 = sha_.HexDigest();
    if (stated.size_bytes != size_ || stated.sha256 != sha256) {
      return MakeError(
          absl::StatusCode::kDataLoss, "RESULT_DIGEST",
          absl::StrCat("the result arrived with ", size_, " bytes and digest ", sha256,
                       ", the rank stated ", stated.size_bytes, " and ", stated.sha256));
    }
    Failpoint("result.before_sync");
    SyncFile(file_.fd(), path_);
    Failpoint("result.after_sync");
    const fs::path target = fs::path(data_dir_) / ArtefactPath(stated);
    std::error_code error;
    const bool made = fs::create_directory(target.parent_path(), error);
    if (made) {
      const absl::Status synced = SyncFolder(target.parent_path().parent_path());
      if (!synced.ok()) return synced;
    }
    if (rename(path_.c_str(), target.c_str()) != 0) return FileError("rename", path_);
    Failpoint("result.after_rename");
    path_.clear();
    return SyncFolder(target.parent_path());
  }

 private:
  const FileDescriptor file_;
  const std::shared_ptr<const ResultReader> reader_;
  std::string path_;  // empty once renamed
  const std::string data_dir_;
  Sha256 sha_;
  int64_t size_ = 0;
};

// The whole file if it is small, else its size.
absl::StatusOr<bool> IsIntact(const ResultReader& reader, const Artefact& artefact) {
  constexpr int64_t kPiece = int64_t{1} << 20, kVerifiedWhole = int64_t{64} << 20;
  const bool whole = artefact.size_bytes <= kVerifiedWhole;
  Sha256 sha;
  for (int64_t offset = whole ? 0 : artefact.size_bytes - 1;;) {
    const absl::StatusOr<std::string> piece = reader.Read(offset, kPiece);
    if (!piece.ok()) return piece.status();
    offset += static_cast<int64_t>(piece->size());
    sha.Update(*piece);
    if (!piece->empty() && offset <= artefact.size_bytes) continue;
    return offset == artefact.size_bytes && (!whole || sha.HexDigest() == artefact.sha256);
  }
}

std::string Extension(const std::string& media_type) {
  return media_type == "video/mp4" ? "mp4" : "safetensors";
}

}  // namespace

std::string ArtefactPath(const Artefact& artefact) {
  return absl::StrCat("artefacts/", artefact.sha256.substr(0, 2), "/", artefact.sha256, ".",
                      Extension(artefact.media_type));
}

absl::Status CheckResultFile(const std::string& data_dir, const Artefact& result) {
  const fs::path path = fs::path(data_dir) / ArtefactPath(result);
  std::error_code error;
  if (fs::exists(path, error)) return absl::OkStatus();
  if (error) {
    return MakeError(absl::StatusCode::kUnavailable, "STORE",
                     absl::StrCat("cannot look at ", path.string(), ": ", error.message()));
  }
  return MakeError(absl::StatusCode::kDataLoss, "RESULT_MISSING",
                   absl::StrCat("the result ", result.sha256, " is gone"));
}

absl::StatusOr<std::unique_ptr<ResultFiles>> ResultFiles::Open(const std::string& data_dir,
                                                               ServerMetrics& metrics) {
  const absl::Status made = MakeFolders(data_dir, {"artefacts", "tmp"});
  if (!made.ok()) return made;
  return std::unique_ptr<ResultFiles>(new ResultFiles(data_dir, metrics));
}

absl::StatusOr<std::unique_ptr<ResultWriter>> ResultFiles::Begin(const std::string& job,
                                                                 int64_t epoch, int32_t attempt) {
  std::string name = absl::StrCat(job, "-", epoch, "-", attempt);
  std::replace(name.begin(), name.end(), '/', '-');
  const std::string path = absl::StrCat(data_dir_, "/tmp/", name);
  FileDescriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, kFileMode));
  if (!file.ok()) return FileError("create", path);
  FileDescriptor for_reading(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!for_reading.ok()) return FileError("open", path);
  auto reader = std::make_shared<const FileReader>(std::move(for_reading));
  return std::make_unique<FileWriter>(std::move(file), std::move(reader), path, data_dir_);
}

absl::StatusOr<std::shared_ptr<const ResultReader>> ResultFiles::Open(
    const Artefact& artefact) const {
  const std::string path = absl::StrCat(data_dir_, "/", ArtefactPath(artefact));
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) {
    return MakeError(absl::StatusCode::kNotFound, "RESULT_EXPIRED",
                     absl::StrCat("the result ", artefact.sha256, " is gone"));
  }
  auto reader = std::make_shared<const FileReader>(std::move(file));
  const absl::StatusOr<bool> intact = IsIntact(*reader, artefact);
  if (!intact.ok()) return intact.status();
  if (*intact) return reader;
  metrics_.store_checksum_failures_total.Increment();
  Log(LogLevel::kError, "a stored result is damaged", {{"path", path}});
  return MakeError(absl::StatusCode::kDataLoss, "CHECKSUM",
                   absl::StrCat("the stored result ", artefact.sha256, " is damaged"));
}

void ResultFiles::Remove(const Artefact& artefact) {
  const std::string path = absl::StrCat(data_dir_, "/", ArtefactPath(artefact));
  if (unlink(path.c_str()) != 0 && errno != ENOENT) {
    Log(LogLevel::kWarning, "a result cannot be removed",
        {{"path", path}, {"error", std::strerror(errno)}});
  }
}

absl::Status ResultFiles::Sweep(const JobStore& jobs, std::chrono::seconds grace) {
  const auto written_before = fs::file_time_type::clock::now() - grace;
  std::error_code error;
  double kept_bytes = 0;
  for (const char* folder : {"artefacts", "tmp"}) {
    fs::recursive_directory_iterator files(fs::path(data_dir_) / folder, error);
    for (; !error && files != fs::end(files); files.increment(error)) {
      if (!files->is_regular_file(error)) continue;
      const absl::StatusOr<bool> owned = jobs.Owns(files->path().stem().string());
      if (!owned.ok()) return owned.status();
      if (*owned || files->last_write_time(error) > written_before) {
        kept_bytes += static_cast<double>(files->file_size(error));
      } else if (fs::remove(files->path(), error)) {
        metrics_.store_orphan_files_removed_total.Increment();
      }
    }
  }
  metrics_.store_artefact_bytes.Set(kept_bytes);
  if (!error) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "STORE",
                   absl::StrCat("cannot sweep ", data_dir_, ": ", error.message()));
}

}  // namespace cogwheel
