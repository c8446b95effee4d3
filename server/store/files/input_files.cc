#include "server/store/files/input_files.h"

#include <atomic>
#include <cstdint>
#include <system_error>
#include <utility>

#include <absl/strings/str_cat.h>

#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/job/store_error.h"
#include "server/store/files/durable_files.h"
#include "server/store/files/input_file.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

constexpr char kPuts[] = "inputs", kReads[] = "inputs of claimed jobs";  // lines of the pool

absl::Status Busy() {
  return MakeError(absl::StatusCode::kUnavailable, "STORE", "too many inputs wait for the disk");
}

}  // namespace

absl::StatusOr<std::unique_ptr<InputFiles>> InputFiles::Open(const std::string& data_dir,
                                                             IoPool& pool, ServerMetrics& metrics) {
  const absl::Status made = MakeFolders(data_dir, {"inputs", "tmp"});
  if (!made.ok()) return made;
  return std::unique_ptr<InputFiles>(new InputFiles(data_dir, pool, metrics));
}

fs::path InputFiles::PathOf(const std::string& sha256) const {
  return data_dir_ / "inputs" / sha256;
}

fs::path InputFiles::TemporaryPath() const {
  static std::atomic<int64_t> number{0};
  return data_dir_ / "tmp" / absl::StrCat("input-", ++number);
}

absl::StatusOr<std::unique_ptr<InputWriter>> InputFiles::Begin() {
  return InputFile::Create(TemporaryPath(), data_dir_ / "inputs");
}

absl::StatusOr<std::string> InputFiles::Write(const std::string& bytes) {
  const std::string sha256 = Sha256Hex(bytes);
  const absl::Status written = WriteDurably(TemporaryPath(), PathOf(sha256), bytes);
  if (!written.ok()) return written;
  return sha256;
}

void InputFiles::Put(Bytes bytes, Answer<std::string> done) {
  const bool posted =
      pool_.TryPost(kPuts, [this, bytes = std::move(bytes), done] { done(Write(*bytes)); });
  if (!posted) done(Busy());
}

absl::StatusOr<InputStore::Bytes> InputFiles::ReadNow(const std::string& sha256) const {
  absl::StatusOr<std::string> bytes = ReadWhole(PathOf(sha256));
  if (!bytes.ok() && !absl::IsNotFound(bytes.status())) return bytes.status();
  if (bytes.ok() && Sha256Hex(*bytes) == sha256) {
    return std::make_shared<const std::string>(*std::move(bytes));
  }
  metrics_.store_checksum_failures_total.Increment();
  return MakeError(
      absl::StatusCode::kDataLoss, "CHECKSUM",
      absl::StrCat("the stored image ", sha256, " is ", bytes.ok() ? "damaged" : "gone"));
}

void InputFiles::Read(const std::string& sha256, Answer<Bytes> done) {
  pool_.Post(kReads, [this, sha256, done = std::move(done)] { done(ReadNow(sha256)); });
}

absl::Status InputFiles::Sweep(
    const std::function<absl::StatusOr<bool>(const std::string& sha256)>& wanted,
    std::chrono::seconds grace) const {
  const auto put_before = fs::file_time_type::clock::now() - grace;
  const auto old = [put_before](const fs::path& file) {
    std::error_code gone;  // meanwhile, by a hand
    const fs::file_time_type put = fs::last_write_time(file, gone);
    return !gone && put <= put_before;
  };
  std::error_code error;
  fs::directory_iterator files(data_dir_ / "inputs", error);
  for (; !error && files != fs::end(files); files.increment(error)) {
    if (!old(files->path())) continue;
    const absl::StatusOr<bool> kept = wanted(files->path().filename().string());
    if (!kept.ok()) return kept.status();
    std::error_code gone;
    if (!*kept && old(files->path())) fs::remove(files->path(), gone);  // not put again meanwhile
  }
  if (!error) return absl::OkStatus();
  return StoreError(StoreFault::kFailed,
                    absl::StrCat("cannot sweep ", data_dir_.string(), ": ", error.message()));
}

}  // namespace cogwheel
