#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "base/sha256.h"
#include "server/job/result_store.h"

namespace cogwheel {

// Results in memory, by digest; thread-safe. `fail_appends` stands for a full disk.
class MemoryResults final : public ResultStore {
 public:
  absl::StatusOr<std::unique_ptr<ResultWriter>> Begin(const std::string&, int64_t,
                                                      int32_t) override {
    return std::make_unique<Writer>(*this);
  }
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(
      const Artefact& artefact) const override {
    const auto found = results.find(artefact.sha256);
    if (found == results.end()) return absl::NotFoundError("gone");
    return std::make_shared<const Reader>(std::make_shared<const Bytes>(found->second));
  }
  void Remove(const Artefact& artefact) override { results.erase(artefact.sha256); }

  std::map<std::string, std::string> results;
  bool fail_appends = false;

 private:
  struct Bytes {
    Bytes() = default;
    explicit Bytes(std::string given) : text(std::move(given)) {}
    mutable Mutex mutex;
    std::string text;
  };
  class Reader final : public ResultReader {
   public:
    explicit Reader(std::shared_ptr<const Bytes> bytes) : bytes_(std::move(bytes)) {}
    absl::StatusOr<std::string> Read(int64_t offset, int64_t max_bytes) const override {
      MutexLock lock(bytes_->mutex);
      const size_t size = bytes_->text.size();
      return bytes_->text.substr(std::min<size_t>(offset, size), max_bytes);
    }

   private:
    const std::shared_ptr<const Bytes> bytes_;
  };
  class Writer final : public ResultWriter {
   public:
    explicit Writer(MemoryResults& owner) : owner_(owner) {}
    absl::Status Append(int64_t, std::string_view data) override {
      if (owner_.fail_appends) return absl::ResourceExhaustedError("disk full");
      MutexLock lock(bytes_->mutex);
      bytes_->text += data;
      return absl::OkStatus();
    }
    std::shared_ptr<const ResultReader> reader() const override {
      return std::make_shared<const Reader>(bytes_);
    }
    absl::Status Commit(const Artefact& stated) override {
      if (Sha256Hex(bytes_->text) != stated.sha256) return absl::DataLossError("digest");
      owner_.results[stated.sha256] = bytes_->text;
      return absl::OkStatus();
    }

   private:
    MemoryResults& owner_;
    const std::shared_ptr<Bytes> bytes_ = std::make_shared<Bytes>();
  };
};

}  // namespace cogwheel
