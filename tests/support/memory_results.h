#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/sha256.h"
#include "server/job/result_store.h"

namespace cogwheel {

// Results in memory, by digest; answers come before the calls return. Thread-safe but for the
// faults, which are set before.
class MemoryResults final : public ResultStore {
 public:
  void Begin(const Attempt& attempt, Answer<std::shared_ptr<ResultWriter>> done) override {
    if (!begin_fault.ok()) return done(begin_fault);
    begun.push_back(attempt);
    done(std::make_shared<Writer>(*this));
  }
  void CheckRoom(int64_t bytes, Done done) override {
    asked_room = bytes;
    done(begin_fault);
  }
  absl::StatusOr<std::shared_ptr<const ResultReader>> Open(
      const Artefact& artefact) const override {
    const auto found = results.find(artefact.sha256);
    if (found == results.end()) return absl::NotFoundError("gone");
    return std::make_shared<const Reader>(std::make_shared<const Bytes>(found->second));
  }
  void Remove(const Artefact& artefact, const JobStore&) override {
    results.erase(artefact.sha256);
  }

  std::map<std::string, std::string> results;
  std::vector<Attempt> begun;
  int64_t asked_room = 0;
  absl::Status begin_fault, append_fault, commit_fault;  // of every call

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
    void Append(ResultPiece piece, Done done) override {
      if (failed_.ok()) failed_ = owner_.append_fault;
      if (!failed_.ok()) return done(failed_);
      {
        MutexLock lock(bytes_->mutex);
        bytes_->text += piece.bytes;
      }
      done(absl::OkStatus());
    }
    std::shared_ptr<const ResultReader> reader() const override {
      return std::make_shared<const Reader>(bytes_);
    }
    void Commit(const Artefact& stated, Done done) override {
      const absl::Status fault = failed_.ok() ? owner_.commit_fault : failed_;
      if (!fault.ok()) return done(fault);
      MutexLock lock(bytes_->mutex);
      if (Sha256Hex(bytes_->text) != stated.sha256) return done(absl::DataLossError("digest"));
      owner_.results[stated.sha256] = bytes_->text;
      done(absl::OkStatus());
    }

   private:
    MemoryResults& owner_;
    absl::Status failed_;  // the first error stays
    const std::shared_ptr<Bytes> bytes_ = std::make_shared<Bytes>();
  };
};

}  // namespace cogwheel
