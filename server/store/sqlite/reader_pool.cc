#include "server/store/sqlite/reader_pool.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr int kReaders = 16;  // one for each thread that serves calls
constexpr std::chrono::seconds kTakeLimit{5}, kLogPeriod{60};

}  // namespace

ReaderPool::Lease::~Lease() {
  if (connection_ != nullptr) pool_.Return(std::move(connection_));
}

absl::StatusOr<std::unique_ptr<ReaderPool>> ReaderPool::Open(const std::string& path,
                                                             const std::string& vfs) {
  auto pool = std::make_unique<ReaderPool>();
  for (int i = 0; i < kReaders; ++i) {
    auto connection = Connection::Open(path, vfs, Connection::Mode::kRead);
    if (!connection.ok()) return connection.status();
    pool->Return(*std::move(connection));
  }
  return pool;
}

absl::StatusOr<ReaderPool::Lease> ReaderPool::Take() {
  MutexLock lock(mutex_);
  if (!returned_.WaitFor(mutex_, kTakeLimit,
                         [this]() COGWHEEL_REQUIRES(mutex_) { return !idle_.empty(); })) {
    return MakeError(absl::StatusCode::kUnavailable, "STORE", "too many reads of the store");
  }
  std::unique_ptr<Connection> connection = std::move(idle_.back());
  idle_.pop_back();
  return Lease(*this, std::move(connection));
}

void ReaderPool::LogNowAndThen(const absl::Status& failed) {
  const auto now = std::chrono::steady_clock::now();
  {
    MutexLock lock(mutex_);
    if (logged_.has_value() && now - *logged_ < kLogPeriod) return;
    logged_ = now;
  }
  Log(LogLevel::kError, "the store cannot be read", {{"error", StoreDetail(failed)}});
}

void ReaderPool::Return(std::unique_ptr<Connection> connection) {
  MutexLock lock(mutex_);
  idle_.push_back(std::move(connection));
  returned_.NotifyAll();
}

}  // namespace cogwheel
