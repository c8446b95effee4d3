#include "server/store/files/result_files.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>

#include <fcntl.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/store/files/durable_files.h"
#include "server/store/files/file_descriptor.h"
#include "server/store/files/result_file.h"

namespace cogwheel {
namespace {

namespace fs = std::filesystem;

std::string Extension(const std::string& media_type) {
  return media_type == "video/mp4" ? "mp4" : "safetensors";
}

}  // namespace

std::string ArtefactPath(const Artefact& artefact) {
  return absl::StrCat("artefacts/", artefact.sha256.substr(0, 2), "/", artefact.sha256, ".",
                      Extension(artefact.media_type));
}

// Asks for what the pool does in the order of the calls.
class ResultFiles::Writer final : public ResultWriter {
 public:
  Writer(ResultFiles& owner, std::string line, std::unique_ptr<ResultFile> file)
      : owner_(owner), line_(std::move(line)), file_(std::move(file)) {}
  ~Writer() override {
    owner_.pool_.Post(line_, [&owner = owner_, file = file_, line = line_, pinned = pinned_] {
      file->Discard();
      owner.LetGo(line, pinned);
    });
  }

  void Append(ResultPiece piece, Done done) override {
    owner_.pool_.Post(line_, [file = file_, piece = std::move(piece), done = std::move(done)] {
      done(file->Append(piece.offset, piece.bytes));
    });
  }

  std::shared_ptr<const ResultReader> reader() const override { return file_->reader(); }

  void Commit(const Artefact& stated, Done done) override {
    const bool again = !std::exchange(pinned_, stated.sha256).empty();
    owner_.pool_.Post(
        line_, [&owner = owner_, file = file_, stated, again, done = std::move(done)] {
          if (!again) owner.Pin(stated.sha256);
          done(file->Commit(stated, absl::StrCat(owner.data_dir_, "/", ArtefactPath(stated))));
        });
  }

 private:
  ResultFiles& owner_;
  const std::string line_;  // of the pool: the attempt's
  const std::shared_ptr<ResultFile> file_;
  std::string pinned_;  // the digest that was committed
};

absl::StatusOr<std::unique_ptr<ResultFiles>> ResultFiles::Open(const std::string& data_dir,
                                                               IoPool& pool,
                                                               ServerMetrics& metrics) {
  const absl::Status made = MakeFolders(data_dir, {"artefacts", "tmp"});
  if (!made.ok()) return made;
  return std::unique_ptr<ResultFiles>(new ResultFiles(data_dir, pool, metrics));
}

void ResultFiles::Begin(const Attempt& attempt, Answer<std::shared_ptr<ResultWriter>> done) {
  std::string name = absl::StrCat(attempt.job, "-", attempt.epoch, "-", attempt.attempt);
  std::replace(name.begin(), name.end(), '/', '-');
  pool_.Post(name, [this, name, most_bytes = attempt.most_bytes, done = std::move(done)] {
    auto file = ResultFile::Create(absl::StrCat(data_dir_, "/tmp/", name), most_bytes);
    if (!file.ok()) return done(file.status());
    {
      MutexLock lock(mutex_);
      alive_.insert(name);
    }
    done(std::make_shared<Writer>(*this, name, *std::move(file)));
  });
}

void ResultFiles::CheckRoom(int64_t bytes, Done done) {
  pool_.Post("room", [this, bytes, done = std::move(done)] {
    done(ResultFile::Create(absl::StrCat(data_dir_, "/tmp/room"), bytes).status());
  });
}

void ResultFiles::Pin(const std::string& sha256) {
  MutexLock lock(mutex_);
  ++pinned_[sha256];
}

void ResultFiles::LetGo(const std::string& attempt, const std::string& sha256) {
  MutexLock lock(mutex_);
  alive_.erase(attempt);
  const auto found = pinned_.find(sha256);
  if (found != pinned_.end() && --found->second == 0) pinned_.erase(found);
}

absl::StatusOr<std::shared_ptr<const ResultReader>> ResultFiles::Open(
    const Artefact& artefact) const {
  const std::string path = absl::StrCat(data_dir_, "/", ArtefactPath(artefact));
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.ok()) return std::make_shared<const FileReader>(std::move(file));
  if (errno != ENOENT) return FileError("open", path);
  return MakeError(absl::StatusCode::kNotFound, "RESULT_EXPIRED",
                   absl::StrCat("the result ", artefact.sha256, " is gone"));
}

// Under the lock no attempt commits the digest; one that did has its job own it before it lets go.
absl::StatusOr<bool> ResultFiles::RemoveUnowned(const fs::path& path, const JobStore& jobs) {
  MutexLock lock(mutex_);
  const std::string name = path.stem().string();  // a digest or an attempt
  if (pinned_.contains(name) || alive_.contains(name)) return false;
  const absl::StatusOr<bool> owned = jobs.Owns(name);
  if (!owned.ok()) return owned.status();
  if (*owned) return false;
  if (unlink(path.c_str()) == 0) return true;
  if (errno == ENOENT) return false;
  return FileError("remove", path.string());
}

void ResultFiles::Remove(const Artefact& artefact, const JobStore& jobs) {
  const absl::StatusOr<bool> removed =
      RemoveUnowned(fs::path(data_dir_) / ArtefactPath(artefact), jobs);
  if (removed.ok()) return;
  Log(LogLevel::kWarning, "a result cannot be removed",  // it will be swept
      {{"sha256", artefact.sha256}, {"error", std::string(removed.status().message())}});
}

absl::StatusOr<double> ResultFiles::Sweep(const char* folder, const JobStore& jobs,
                                          std::chrono::seconds grace) {
  const auto written_before = fs::file_time_type::clock::now() - grace;
  double kept_bytes = 0;
  std::error_code error;
  fs::recursive_directory_iterator files(fs::path(data_dir_) / folder, error);
  for (; !error && files != fs::end(files); files.increment(error)) {
    std::error_code gone;  // meanwhile: it was moved, or removed with its job
    if (!files->is_regular_file(gone)) continue;
    const auto bytes = static_cast<double>(files->file_size(gone));
    const bool old = files->last_write_time(gone) <= written_before;
    if (gone) continue;
    const absl::StatusOr<bool> removed = old ? RemoveUnowned(files->path(), jobs) : false;
    if (!removed.ok()) return removed.status();
    if (!*removed) kept_bytes += bytes;
    if (*removed) metrics_.store_orphan_files_removed_total.Increment();
  }
  if (!error) return kept_bytes;
  return MakeError(absl::StatusCode::kUnavailable, "STORE",
                   absl::StrCat("cannot sweep ", data_dir_, ": ", error.message()));
}

absl::Status ResultFiles::SweepResults(const JobStore& jobs, std::chrono::seconds grace) {
  const absl::StatusOr<double> kept = Sweep("artefacts", jobs, grace);
  if (kept.ok()) metrics_.store_artefact_bytes.Set(*kept);
  return kept.status();
}

absl::Status ResultFiles::SweepTmp(const JobStore& jobs, std::chrono::seconds grace) {
  return Sweep("tmp", jobs, grace).status();
}

}  // namespace cogwheel
