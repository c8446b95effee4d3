#include "server/upkeep.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "server/api/tls.h"
#include "server/job/store_error.h"

namespace cogwheel {
namespace {

constexpr std::chrono::hours kSweepPeriod{1}, kSweepGrace{24};
constexpr std::chrono::minutes kInputsPeriod{1}, kInputsGrace{10}, kCertificatesPeriod{1},
    kUsagePeriod{1};
constexpr std::chrono::seconds kProbePeriod{1}, kAccessPeriod{1}, kAtOnce{0};

void WarnOf(const absl::Status& swept) {
  if (swept.ok()) return;
  Log(LogLevel::kWarning, "files cannot be swept", {{"error", StoreDetail(swept)}});
}

}  // namespace

Upkeep::Upkeep(const Parts& parts)
    : parts_(parts),
      metrics_(*parts.stores.metrics),
      probe_({*parts.stores.jobs, *parts.stores.result_files, parts.health, parts.clock,
              [&dispatcher = parts.dispatcher] { return dispatcher.largest_result(); }}),
      chores_(parts.pool, parts.clock),
      certificates_({{"public", parts.config.tls_certificate()},
                     {"internal", parts.config.internal_tls_certificate()}}) {
  AddChores();
}

void Upkeep::AddChores() {
  chores_.Every(kProbePeriod, "probe", [this] { probe_.Try(); }, kProbePeriod);
  const auto sweep_results = [this] {
    WarnOf(parts_.stores.result_files->SweepResults(*parts_.stores.jobs, kSweepGrace));
    WarnOf(parts_.stores.result_files->SweepTmp(*parts_.stores.jobs, kSweepGrace));
  };
  chores_.Every(kSweepPeriod, "results", sweep_results, kSweepPeriod);
  const auto sweep_inputs = [this] {
    WarnOf(parts_.inputs.DropExpired());
    const auto wanted = [this](const std::string& sha256) {
      return parts_.stores.jobs->WantsInput(sha256);
    };
    WarnOf(parts_.stores.input_files->Sweep(wanted, kInputsGrace));
  };
  chores_.Every(kInputsPeriod, "inputs", sweep_inputs, kInputsPeriod);
  const auto read_access = [this] {
    if (parts_.access.Reload()) parts_.loop.Post(parts_.tenants_changed);
    CloseRefused();
  };
  chores_.Every(kAccessPeriod, "access", read_access, kAccessPeriod);
  chores_.Every(kUsagePeriod, "usage", [this] { ReadUsage(); }, kAtOnce);
  chores_.Every(kCertificatesPeriod, "certificates", [this] { ShowCertificates(); }, kAtOnce);
}

// Tokens are revoked and expire while streams are open.
void Upkeep::CloseRefused() {
  if (parts_.access.open()) return;
  parts_.streams.CloseRefused([this](const StreamRegistry::Caller& caller) {
    return parts_.access.CheckHeader(caller.authorization, caller.method).status();
  });
}

void Upkeep::Tick() {
  parts_.janitor.Tick();
  chores_.Tick();
  ShowQueues();
}

void Upkeep::SweepLeftovers() {
  parts_.pool.Post("results", [this] {
    WarnOf(parts_.stores.result_files->SweepResults(*parts_.stores.jobs, std::chrono::seconds(0)));
  });
}

// Of so many hours of the clock, the present one with them.
void Upkeep::ReadUsage() {
  const Job::WallTime now = parts_.clock.Wall();
  const std::chrono::hours before(parts_.config.quota_window_hours() - 1);
  const auto usage = parts_.stores.jobs->Usage({now - before, now, /*tenant=*/""});
  if (!usage.ok()) return;
  std::map<std::string, double> used;
  for (const TenantUsage& each : *usage) used[each.tenant] += each.gpu_seconds;
  parts_.loop.Post([this, used = std::move(used)] { parts_.dispatcher.SetUsed(used); });
}

void Upkeep::ShowQueues() {
  metrics_.dispatch_loop_tasks.Set(static_cast<double>(parts_.loop.waiting()));
  metrics_.io_tasks.Set(static_cast<double>(parts_.stores.io->waiting()), {"calls"});
  metrics_.io_tasks.Set(static_cast<double>(parts_.stores.results->waiting()), {"results"});
  metrics_.io_tasks.Set(static_cast<double>(parts_.pool.waiting()), {"chores"});
}

void Upkeep::ShowCertificates() {
  for (const auto& [role, file] : certificates_) {
    if (file.empty()) continue;
    const auto end = CertificateExpiry(file);
    if (!end.ok()) continue;
    const std::chrono::duration<double> since_1970 = end->time_since_epoch();
    metrics_.api_certificate_expiry_timestamp_seconds.Set(since_1970.count(), {role});
  }
}

void Upkeep::ShowTotals() {
  MutexLock lock(totals_mutex_);
  const absl::StatusOr<JobTotals> totals = parts_.stores.jobs->Totals();
  if (!totals.ok()) return;
  for (const auto& [key, count] : totals->counts) {
    const auto value = static_cast<double>(count);
    if (!key.state.has_value()) {
      metrics_.queue_jobs_accepted_total.Raise(value, {key.model, key.tenant});
    } else {
      metrics_.dispatch_jobs_finished_total.Raise(
          value, {key.model, key.tenant, JobStateName(*key.state), key.reason});
    }
  }
}

}  // namespace cogwheel
