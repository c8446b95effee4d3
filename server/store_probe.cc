#include "server/store_probe.h"

#include <algorithm>
#include <utility>

#include <unistd.h>

#include "base/log.h"
#include "server/job/fault.h"
#include "server/store/files/durable_files.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kQuietPeriod{5};  // of writes, while all is well
constexpr std::chrono::seconds kWriteLimit{60};
constexpr int64_t kLeastRoom = int64_t{1} << 20;

[[noreturn]] void EndOnHang() {
  Log(LogLevel::kError, "the store has not taken a write for 60 s; the process ends");
  _exit(kDiskFailedExit);
}

}  // namespace

absl::Status StoreProbe::Write() {
  if (parts_.health.ok() && parts_.clock.Now() - written_ < kQuietPeriod) return absl::OkStatus();
  written_ = parts_.clock.Now();
  const auto answer =
      Await<absl::Status>([this](Done done) { parts_.store.Probe(std::move(done)); }, kWriteLimit);
  if (absl::IsDeadlineExceeded(answer)) EndOnHang();
  return answer;
}

void StoreProbe::Try() {
  const int64_t failures = parts_.health.failures();
  absl::Status tried = Write();
  if (tried.ok()) {
    const int64_t room = std::max(kLeastRoom, parts_.largest_result());
    tried = Await<absl::Status>([&](Done done) { parts_.results.CheckRoom(room, std::move(done)); },
                                kWriteLimit);
  }
  if (IsStoreFault(tried)) return parts_.health.Failed("probe", tried);
  if (tried.ok()) parts_.health.Passed(failures);
}

}  // namespace cogwheel
