#include "server/dispatch/store_health.h"

#include <absl/strings/str_cat.h>

#include "base/log.h"
#include "server/job/fault.h"
#include "server/job/store_error.h"

namespace cogwheel {

StoreHealth::StoreHealth(const Clock& clock, ServerMetrics& metrics)
    : clock_(clock), metrics_(metrics) {
  metrics_.store_writable.Set(1);
}

void StoreHealth::Failed(std::string_view what, const absl::Status& why) {
  {
    MutexLock lock(mutex_);
    ++failures_;
    if (!reason_.empty()) return;
    failures_before_ = failures_ - 1;
    reason_ = StoreFaultForClients(why).message;
    since_ = clock_.Now();
  }
  metrics_.store_writable.Set(0);
  Log(LogLevel::kError, "the store fails; no job starts until it takes writes again",
      {{"what", std::string(what)}, {"error", StoreDetail(why)}});
}

void StoreHealth::Passed(int64_t failures) {
  int64_t count = 0;
  std::chrono::duration<double> lasted{};
  {
    MutexLock lock(mutex_);
    if (reason_.empty() || failures != failures_) return;
    reason_.clear();
    count = failures_ - failures_before_;
    lasted = clock_.Now() - since_;
  }
  metrics_.store_writable.Set(1);
  Log(LogLevel::kInfo, "the store takes writes again",
      {{"failures", absl::StrCat(count)}, {"seconds", absl::StrCat(lasted.count())}});
}

int64_t StoreHealth::failures() const {
  MutexLock lock(mutex_);
  return failures_;
}

bool StoreHealth::ok() const {
  MutexLock lock(mutex_);
  return reason_.empty();
}

std::string StoreHealth::reason() const {
  MutexLock lock(mutex_);
  return reason_;
}

}  // namespace cogwheel
