#include "server/upkeep.h"

#include <chrono>
#include <utility>

#include "base/log.h"
#include "server/api/tls.h"

namespace cogwheel {
namespace {

constexpr std::chrono::hours kSweepPeriod{1}, kSweepGrace{24};
constexpr std::chrono::minutes kInputsPeriod{1}, kInputsGrace{10}, kCertificatesPeriod{1};
constexpr std::chrono::seconds kProbePeriod{1}, kAccessPeriod{1}, kAtOnce{0};

void WarnOf(const absl::Status& swept) {
  if (swept.ok()) return;
  Log(LogLevel::kWarning, "files cannot be swept", {{"error", std::string(swept.message())}});
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
