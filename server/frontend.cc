#include "server/frontend.h"

#include <atomic>
#include <optional>
#include <random>
#include <thread>
#include <utility>

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "base/admin_server.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/api/call_limiter.h"
#include "server/api/grpc_server.h"
#include "server/api/rank_control_service.h"
#include "server/api/readiness.h"
#include "server/api/video_service.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/intake.h"
#include "server/dispatch/janitor.h"
#include "server/dispatch/store_health.h"
#include "server/groups/rank_groups.h"
#include "server/housekeeper.h"
#include "server/keys.h"
#include "server/listen_places.h"
#include "server/metrics/server_metrics.h"
#include "server/schedule/costs_file.h"
#include "server/status_page.h"
#include "server/store/files/data_dir_lock.h"
#include "server/store/files/input_files.h"
#include "server/store/files/result_files.h"
#include "server/store/sqlite/sqlite_job_store.h"
#include "server/store_probe.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLoopHang{60};
constexpr std::chrono::milliseconds kLastCalls{500};
constexpr std::chrono::hours kSweepPeriod{1}, kSweepGrace{24};
constexpr std::chrono::minutes kInputsPeriod{1}, kInputsGrace{10}, kCertificatesPeriod{1};
constexpr std::chrono::seconds kProbePeriod{1}, kAccessPeriod{1}, kAtOnce{0};
// Threads cost little while they wait, and each line waits for its own disk.
constexpr IoPool::Limits kIoLimits = {.threads = 16};
constexpr IoPool::Limits kResultLimits = {.threads = 32, .in_order = true};
constexpr IoPool::Limits kChoreLimits = {.threads = 6, .in_order = true};

KeepPolicy KeepPolicyOf(const config::v1::ServerConfig& config) {
  return {config.max_kept_jobs(), config.max_result_bytes(),
          std::chrono::hours(config.result_hours())};
}

// Members stand in the order of who uses whom: the users come later and go first.
class WiredFrontend final : public Frontend {
 public:
  // What lasts: each is open before the next.
  struct Stores {
    DataDirLock lock;
    std::unique_ptr<ServerMetrics> metrics;
    std::unique_ptr<IoPool> io, result_pool;
    std::unique_ptr<ResultFiles> results;
    std::unique_ptr<InputFiles> inputs;
    std::unique_ptr<JobStore> jobs;
    Keys keys;
  };
  WiredFrontend(const config::v1::ServerConfig& config, const Clock& clock, Stores stores)
      : clock_(clock),
        lock_(std::move(stores.lock)),
        metrics_owner_(std::move(stores.metrics)),
        loop_(clock),
        io_(std::move(stores.io)),
        result_pool_(std::move(stores.result_pool)),
        store_(std::move(stores.jobs)),
        results_(std::move(stores.results)),
        inputs_(std::move(stores.inputs)),
        access_(std::move(stores.keys.access)),
        ledger_({config.max_queued_jobs(), config.max_queued_bytes(),
                 static_cast<double>(config.max_queued_seconds()),
                 config.max_tenant_queued_jobs()}),
        limiter_({static_cast<double>(config.max_calls_per_second()),
                  static_cast<double>(config.max_call_burst())},
                 clock),
        costs_file_(config.costs_file(), costs_),
        health_(clock, metrics_),
        janitor_({*store_, *results_, events_, chore_pool_, clock, KeepPolicyOf(config)}),
        dispatcher_({loop_, *store_, *results_, *inputs_, health_, events_, ledger_, costs_, clock,
                     metrics_, [this] { janitor_.OnEnded(); }}),
        groups_({*store_, clock, dispatcher_, board_, metrics_, RankGroup::Limits()}),
        intake_({*store_, *inputs_, [this] { return Models(); }, ledger_, costs_, clock,
                 [] { return std::random_device()(); },
                 [this](const Job& job) { dispatcher_.Accept(job); }}),
        readiness_(board_, ledger_, metrics_),
        probe_(
            {*store_, *results_, health_, clock, [this] { return dispatcher_.largest_result(); }}),
        video_service_({intake_, dispatcher_, janitor_, *io_, *store_, *results_, events_, board_,
                        streams_, *access_, limiter_, clock, metrics_}),
        rank_control_(loop_, groups_, stores.keys.rank_token_digest),
        certificates_({{"public", config.tls_certificate()},
                       {"internal", config.internal_tls_certificate()}}) {
    metrics_.build_info.Set(1, {COGWHEEL_VERSION, grpc::Version()});
    metrics_.queue_limit_jobs.Set(static_cast<double>(ledger_.limits().jobs));
    metrics_.queue_limit_bytes.Set(static_cast<double>(ledger_.limits().bytes));
    metrics_.queue_limit_gpu_seconds.Set(ledger_.limits().seconds);
    loop_.AddTick([this] { groups_.Tick(); });
    loop_.AddTick([this] { dispatcher_.Tick(); });
    loop_.AddTick([this] { readiness_.Update(); });
    loop_.AddTick([this] { janitor_.Tick(); });
    loop_.AddTick([this] { chores_.Tick(); });
    loop_.AddTick([this] { ShowQueues(); });
    loop_.Measure(
        {[this](double seconds) { metrics_.dispatch_loop_turn_seconds.Observe(seconds); },
         [this](double seconds) { metrics_.dispatch_loop_lag_seconds.Observe(seconds); }});
    UseTenants();
    AddChores();
    board_.OnChange([this] { readiness_.Update(); });
    loop_.AddTick([this, limit = std::chrono::seconds(config.stalled_stream_seconds())] {
      const int cut = streams_.CutStalled(clock_.Now() - limit);
      if (cut == 0) return;
      streams_cut_ += cut;
      metrics_.api_streams_stalled_total.Increment({}, cut);
    });
  }
  ~WiredFrontend() override { Stop(); }

  absl::Status Listen(const config::v1::ServerConfig& config) {
    const auto unfinished = Await<absl::StatusOr<std::vector<Job>>>(
        [this](Answer<std::vector<Job>> done) { store_->Adopt(std::move(done)); });
    if (!unfinished.ok()) return unfinished.status();
    dispatcher_.Recover(*unfinished);
    loop_.Start();
    auto server = GrpcServer::Start({config.listen(), config.internal_listen()},
                                    {{config.tls_certificate(), config.tls_key(),
                                      config.tls_client_ca(), config.tls_client_crls()},
                                     {config.internal_tls_certificate(), config.internal_tls_key(),
                                      config.internal_tls_ca(), config.internal_tls_crls()}},
                                    video_service_, rank_control_);
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    readiness_.Serve(server_->health());
    // What a former process left without an owner gets none any more.
    chore_pool_.Post("results",
                     [this] { WarnOf(results_->SweepResults(*store_, std::chrono::seconds(0))); });
    // Last: /readyz says nothing of a server that does not listen yet.
    auto admin = AdminServer::Start(
        config.admin_listen(),
        {metrics_.registry, [this] { ShowTotals(); }, [this] { return Live(); },
         [this] { return Ready(); },
         [this] {
           return StatusPage(
               readiness_.Reason(),
               std::chrono::duration_cast<std::chrono::seconds>(clock_.Now() - start_), ledger_,
               board_);
         }});
    if (!admin.ok()) return admin.status();
    admin_ = *std::move(admin);
    addresses_ = {server_->addresses().listen, server_->addresses().internal, admin_->address()};
    return absl::OkStatus();
  }

  const Addresses& addresses() const override { return addresses_; }
  bool Busy() const override { return dispatcher_.unfinished() > 0; }
  int streams_cut() const override { return streams_cut_; }

  void Drain() override {
    draining_ = true;
    intake_.Drain();
    readiness_.Drain();
    dispatcher_.Drain();
  }

  void Stop() override {
    if (server_ == nullptr) return StopThreads();
    Drain();
    const absl::Status why =
        MakeError(absl::StatusCode::kUnavailable, "DRAINING", "the server has shut down");
    dispatcher_.Abandon();
    WaitForAbandoned();
    loop_.Post([this, why] {
      streams_.CloseAll(why);
      groups_.CloseAll(why);
    });
    server_->Shutdown(kLastCalls);
    StopThreads();  // after the last call: none waits for them any more
    server_.reset();
    admin_.reset();
  }

 private:
  absl::StatusOr<std::vector<v1::Model>> Models() const {
    absl::StatusOr<std::vector<v1::Model>> stored = store_->Models();
    if (!stored.ok()) return stored;
    return board_.Current(*std::move(stored));
  }
  ProbeAnswer Live() const {
    const auto since = loop_.SinceLastTurn();
    if (since < kLoopHang) return {true, "ok"};
    return {false,
            absl::StrCat("the dispatcher has not turned for ",
                         std::chrono::duration_cast<std::chrono::seconds>(since).count(), " s")};
  }
  // So that watchers hear that their job waits again; one whose store does not answer is found by
  // the next process all the same.
  void WaitForAbandoned() const {
    constexpr std::chrono::milliseconds kPoll{5};
    for (auto waited = kPoll; waited < kLastCalls && Busy(); waited += kPoll) {
      std::this_thread::sleep_for(kPoll);
    }
  }
  void StopThreads() {
    loop_.Stop();
    for (IoPool* pool : {&chore_pool_, result_pool_.get(), io_.get()}) pool->Stop();
  }
  void AddChores() {
    chores_.Every(kProbePeriod, "probe", [this] { probe_.Try(); }, kProbePeriod);
    chores_.Every(
        kSweepPeriod, "results",
        [this] {
          WarnOf(results_->SweepResults(*store_, kSweepGrace));
          WarnOf(results_->SweepTmp(*store_, kSweepGrace));
        },
        kSweepPeriod);
    chores_.Every(
        kInputsPeriod, "inputs",
        [this] {
          WarnOf(inputs_->Sweep(
              [this](const std::string& sha256) { return store_->WantsInput(sha256); },
              kInputsGrace));
        },
        kInputsPeriod);
    chores_.Every(
        kAccessPeriod, "access",
        [this] {
          if (access_->Reload()) loop_.Post([this] { UseTenants(); });
        },
        kAccessPeriod);
    chores_.Every(kCertificatesPeriod, "certificates", [this] { ShowCertificates(); }, kAtOnce);
  }
  static void WarnOf(const absl::Status& swept) {
    if (swept.ok()) return;
    Log(LogLevel::kWarning, "files cannot be swept", {{"error", std::string(swept.message())}});
  }
  void UseTenants() {
    std::map<std::string, double> weights;
    std::map<std::string, int64_t> limits;
    for (const auto& tenant : access_->Tenants()) {
      if (tenant.weight() > 0) weights[tenant.name()] = tenant.weight();
      if (tenant.max_queued_jobs() > 0) limits[tenant.name()] = tenant.max_queued_jobs();
    }
    dispatcher_.SetWeights(std::move(weights));
    ledger_.SetTenantLimits(std::move(limits));
  }
  void ShowQueues() {
    metrics_.api_live_reactors.Set(static_cast<double>(streams_.size()));
    metrics_.dispatch_loop_tasks.Set(static_cast<double>(loop_.waiting()));
    metrics_.io_tasks.Set(static_cast<double>(io_->waiting()), {"calls"});
    metrics_.io_tasks.Set(static_cast<double>(result_pool_->waiting()), {"results"});
    metrics_.io_tasks.Set(static_cast<double>(chore_pool_.waiting()), {"chores"});
  }
  void ShowCertificates() {
    for (const auto& [role, file] : certificates_) {
      if (file.empty()) continue;
      const auto end = CertificateExpiry(file);
      if (!end.ok()) continue;
      const std::chrono::duration<double> since_1970 = end->time_since_epoch();
      metrics_.api_certificate_expiry_timestamp_seconds.Set(since_1970.count(), {role});
    }
  }
  // Several scrapes may come at once.
  void ShowTotals() COGWHEEL_EXCLUDES(scrape_mutex_) {
    MutexLock lock(scrape_mutex_);
    const absl::StatusOr<JobTotals> totals = store_->Totals();
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
  // Groups do not count: ranks dial this server, and jobs for a known model are queued.
  ProbeAnswer Ready() const {
    if (draining_) return {false, "draining"};
    if (!health_.ok()) return {false, absl::StrCat("store: ", health_.reason())};
    return {true, "ok"};
  }

  const Clock& clock_;
  const DataDirLock lock_;
  const std::unique_ptr<ServerMetrics> metrics_owner_;
  ServerMetrics& metrics_ = *metrics_owner_;
  EventLoop loop_;  // before all whose answers come to it
  const std::unique_ptr<IoPool> io_, result_pool_;
  IoPool chore_pool_{kChoreLimits};
  const std::unique_ptr<JobStore> store_;
  const std::unique_ptr<ResultFiles> results_;
  const std::unique_ptr<InputFiles> inputs_;
  const std::unique_ptr<AccessControl> access_;
  EventLog events_;
  AdmissionLedger ledger_;
  CallLimiter limiter_;
  CostModel costs_;
  CostsFile costs_file_;
  GroupBoard board_;
  StreamRegistry streams_;
  StoreHealth health_;
  Janitor janitor_;
  Dispatcher dispatcher_;
  RankGroups groups_;
  Intake intake_;
  Readiness readiness_;
  StoreProbe probe_;
  Housekeeper chores_{chore_pool_, clock_};
  VideoService video_service_;
  RankControlService rank_control_;
  const std::chrono::steady_clock::time_point start_ = clock_.Now();
  Mutex scrape_mutex_;
  std::atomic<bool> draining_{false};
  std::atomic<int> streams_cut_{0};
  const std::map<std::string, std::string> certificates_;  // file by role
  std::unique_ptr<AdminServer> admin_;
  std::unique_ptr<GrpcServer> server_;
  Addresses addresses_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Frontend>> Frontend::Start(const config::v1::ServerConfig& config,
                                                          const Clock& clock) {
  const absl::Status listening = CheckListenPlaces(config);
  if (!listening.ok()) return listening;
  absl::StatusOr<Keys> keys = Keys::Load(config, clock);
  if (!keys.ok()) return keys.status();
  absl::StatusOr<DataDirLock> lock = DataDirLock::Take(config.data_dir());
  if (!lock.ok()) return lock.status();
  auto metrics = std::make_unique<ServerMetrics>(MakeRegistry());
  auto io = std::make_unique<IoPool>(kIoLimits);
  auto result_pool = std::make_unique<IoPool>(kResultLimits);
  auto results = ResultFiles::Open(config.data_dir(), *result_pool, *metrics);
  if (!results.ok()) return results.status();
  auto inputs = InputFiles::Open(config.data_dir(), *io, *metrics);
  if (!inputs.ok()) return inputs.status();
  auto jobs = SqliteJobStore::Open({.data_dir = config.data_dir()}, *metrics);
  if (!jobs.ok()) return jobs.status();
  absl::Status swept = (*results)->SweepTmp(**jobs, std::chrono::seconds(0));
  if (swept.ok()) {
    swept = (*inputs)->Sweep([&](const std::string& sha256) { return (*jobs)->WantsInput(sha256); },
                             std::chrono::seconds(0));
  }
  if (!swept.ok()) return swept;
  auto frontend = std::make_unique<WiredFrontend>(
      config, clock,
      WiredFrontend::Stores{*std::move(lock), std::move(metrics), std::move(io),
                            std::move(result_pool), *std::move(results), *std::move(inputs),
                            *std::move(jobs), *std::move(keys)});
  const absl::Status listens = frontend->Listen(config);
  if (!listens.ok()) return listens;
  return frontend;
}

}  // namespace cogwheel
