#include "server/frontend.h"

#include <atomic>
#include <optional>
#include <random>
#include <utility>

#include <absl/strings/str_cat.h>
#include <grpcpp/grpcpp.h>

#include "base/admin_server.h"
#include "base/log.h"
#include "proto/contract/status.h"
#include "server/api/call_limiter.h"
#include "server/api/grpc_server.h"
#include "server/api/operate_service.h"
#include "server/api/rank_control_service.h"
#include "server/api/readiness.h"
#include "server/api/video_service.h"
#include "server/dispatch/dispatcher.h"
#include "server/dispatch/event_loop.h"
#include "server/dispatch/input_keeper.h"
#include "server/dispatch/intake.h"
#include "server/dispatch/janitor.h"
#include "server/dispatch/store_health.h"
#include "server/groups/rank_groups.h"
#include "server/keys.h"
#include "server/listen_places.h"
#include "server/operate/audit_log.h"
#include "server/operate/operator.h"
#include "server/schedule/costs_file.h"
#include "server/status_page.h"
#include "server/stores.h"
#include "server/tenant_limits.h"
#include "server/upkeep.h"

namespace cogwheel {
namespace {

constexpr std::chrono::seconds kLoopHang{60}, kAbandoning{1};
constexpr std::chrono::milliseconds kLastCalls{500};
// One for each line of Upkeep and the janitor's: the probe runs while a disk holds up all others.
constexpr IoPool::Limits kChoreLimits = {.threads = 7, .in_order = true};

KeepPolicy KeepPolicyOf(const config::v1::ServerConfig& config) {
  return {{config.max_kept_jobs()},
          {config.max_result_bytes()},
          std::chrono::hours(config.result_hours())};
}

// Of a tenant that is not named: a token of it may still be there for a moment.
StreamRegistry::Limits StreamLimitsOf(const config::v1::ServerConfig& config) {
  const int each =
      config.max_tenant_streams() > 0 ? config.max_tenant_streams() : config.max_streams();
  return {config.max_streams(), {each, config.max_tenant_downloads()}};
}

// Members stand in the order of who uses whom: the users come later and go first.
class WiredFrontend final : public Frontend {
 public:
  WiredFrontend(const config::v1::ServerConfig& config, const Clock& clock, Stores stores,
                Keys keys)
      : config_(config),
        clock_(clock),
        loop_(clock),
        stores_(std::move(stores)),
        access_(std::move(keys.access)),
        audit_(std::move(keys.audit)),
        ledger_(QueueLimitsOf(config)),
        limiter_({static_cast<double>(config.max_calls_per_second()),
                  static_cast<double>(config.max_call_burst())},
                 clock),
        costs_file_(config.costs_file(), costs_),
        streams_(StreamLimitsOf(config)),
        holders_(clock, std::chrono::seconds(config.holder_grace_seconds())),
        health_(clock, metrics_),
        janitor_({*stores_.jobs, *stores_.result_files, events_, chore_pool_, clock,
                  KeepPolicyOf(config)}),
        dispatcher_({loop_, *stores_.jobs, *stores_.result_files, *stores_.input_files, health_,
                     events_, ledger_, costs_, orders_, clock, metrics_,
                     [this] { janitor_.OnEnded(); }}),
        groups_({*stores_.jobs, clock, dispatcher_, board_, costs_, metrics_,
                 [this](std::function<void()> task) { loop_.Post(std::move(task)); }}),
        inputs_({*stores_.input_files, *stores_.input_rows, ledger_, clock}),
        intake_({*stores_.jobs, *stores_.input_files, *stores_.input_rows,
                 [this] { return Models(); }, ledger_, costs_, clock,
                 [] { return std::random_device()(); }}),
        readiness_(board_, ledger_, orders_, metrics_),
        operator_({*stores_.operate, *stores_.jobs, *stores_.result_files, events_, orders_, board_,
                   dispatcher_, loop_, clock, config.backup_dir(), access_->open()}),
        api_({intake_, inputs_, dispatcher_, janitor_, *stores_.io, *stores_.jobs,
              *stores_.result_files, events_, board_, orders_, streams_, holders_, *access_,
              limiter_, clock, metrics_}),
        video_service_(api_),
        operate_service_(api_, operator_, *audit_),
        rank_control_({loop_, groups_, clock, metrics_, keys.rank_token_digest}),
        upkeep_({config, loop_, stores_, health_, dispatcher_, janitor_, inputs_, *access_,
                 streams_, chore_pool_, clock, [this] { UseTenants(); }}) {
    metrics_.build_info.Set(1, {COGWHEEL_VERSION, grpc::Version()});
    metrics_.queue_limit_jobs.Set(static_cast<double>(ledger_.limits().jobs));
    metrics_.queue_limit_bytes.Set(static_cast<double>(ledger_.limits().bytes));
    metrics_.queue_limit_gpu_seconds.Set(ledger_.limits().seconds);
    loop_.AddTick([this] { groups_.Tick(); });
    loop_.AddTick([this] { dispatcher_.Tick(); });
    loop_.AddTick([this] { readiness_.Update(); });
    loop_.AddTick([this] { upkeep_.Tick(); });
    loop_.AddTick([this] { metrics_.api_live_reactors.Set(static_cast<double>(streams_.size())); });
    loop_.Measure(
        {[this](double seconds) { metrics_.dispatch_loop_turn_seconds.Observe(seconds); },
         [this](double seconds) { metrics_.dispatch_loop_lag_seconds.Observe(seconds); }});
    UseTenants();
    loop_.AddTick([this] {
      holders_.Tick([this](const std::string& tenant, const std::string& job, Answer<Job> done) {
        dispatcher_.Cancel(tenant, job, std::move(done));
      });
    });
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
        [this](Answer<std::vector<Job>> done) { stores_.jobs->Adopt(std::move(done)); });
    if (!unfinished.ok()) return unfinished.status();
    const absl::StatusOr<OperatorOrders> orders = stores_.operate->Orders();
    if (!orders.ok()) return orders.status();
    orders_.Apply([&orders](OperatorOrders& standing) { standing = *orders; });
    dispatcher_.Recover(*unfinished);
    stores_.jobs->Watch([this](const Job& job) { dispatcher_.Accept(job); });
    const absl::Status counted = inputs_.Recover();
    if (!counted.ok()) return counted;
    loop_.Start();
    auto server = GrpcServer::Start({config.listen(), config.internal_listen()},
                                    {{config.tls_certificate(), config.tls_key(),
                                      config.tls_client_ca(), config.tls_client_crls()},
                                     {config.internal_tls_certificate(), config.internal_tls_key(),
                                      config.internal_tls_ca(), config.internal_tls_crls()}},
                                    {config.max_receive_memory_bytes()},
                                    {video_service_, operate_service_, rank_control_});
    if (!server.ok()) return server.status();
    server_ = *std::move(server);
    readiness_.Serve(server_->health());
    upkeep_.SweepLeftovers();
    // Last: /readyz says nothing of a server that does not listen yet.
    auto admin = AdminServer::Start(
        config.admin_listen(),
        {metrics_.registry, [this] { upkeep_.ShowTotals(); }, [this] { return Live(); },
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
    operator_.Drain();
    readiness_.Drain();
    dispatcher_.Drain();
  }

  void Stop() override {
    if (server_ == nullptr) return StopThreads();
    Drain();
    const absl::Status why =
        MakeError(absl::StatusCode::kUnavailable, "DRAINING", "the server has shut down");
    // So that watchers hear that their job waits again; one whose store does not answer is found by
    // the next process all the same.
    Await<absl::Status>([this](Done done) { dispatcher_.Abandon(std::move(done)); }, kAbandoning)
        .IgnoreError();
    loop_.Post([this, why] {
      streams_.CloseAll(why);
      groups_.CloseAll(why);
    });
    server_->Shutdown(kLastCalls);
    admin_.reset();
    StopThreads();  // after the last call: none waits for them any more
    server_.reset();
  }

 private:
  absl::StatusOr<std::vector<v1::Model>> Models() const {
    absl::StatusOr<std::vector<v1::Model>> stored = stores_.jobs->Models();
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
  void StopThreads() {
    loop_.Stop();
    for (IoPool* pool : {&chore_pool_, stores_.results.get(), stores_.io.get()}) pool->Stop();
    stores_.jobs.reset();  // its last answers find those that asked
  }
  void UseTenants() {
    const std::vector<config::v1::AccessPolicy::Tenant> tenants = access_->Tenants();
    TenantLimits limits = TenantLimitsOf(config_, tenants);
    streams_.SetTenantLimits(std::move(limits.streams));
    dispatcher_.SetWeights(std::move(limits.weights));
    dispatcher_.SetTenantLimits(std::move(limits.rules), config_.quota_window_hours());
    janitor_.SetKept(std::move(limits.kept_jobs), std::move(limits.kept_bytes));
    ledger_.SetTenants(std::move(limits.places));
  }
  // Groups do not count: ranks dial this server, and jobs for a known model are queued.
  ProbeAnswer Ready() const {
    if (draining_) return {false, "draining"};
    if (!health_.ok()) return {false, absl::StrCat("store: ", health_.reason())};
    return {true, "ok"};
  }

  const config::v1::ServerConfig config_;
  const Clock& clock_;
  EventLoop loop_;  // before all whose answers come to it
  Stores stores_;
  ServerMetrics& metrics_ = *stores_.metrics;
  IoPool chore_pool_{kChoreLimits};
  const std::unique_ptr<AccessControl> access_;
  const std::unique_ptr<AuditLog> audit_;
  EventLog events_;
  AdmissionLedger ledger_;
  CallLimiter limiter_;
  CostModel costs_;
  CostsFile costs_file_;
  GroupBoard board_;
  StandingOrders orders_;
  StreamRegistry streams_;
  Holders holders_;
  StoreHealth health_;
  Janitor janitor_;
  Dispatcher dispatcher_;
  RankGroups groups_;
  InputKeeper inputs_;
  Intake intake_;
  Readiness readiness_;
  Operator operator_;
  const ApiParts api_;
  VideoService video_service_;
  OperateService operate_service_;
  RankControlService rank_control_;
  Upkeep upkeep_;
  const std::chrono::steady_clock::time_point start_ = clock_.Now();
  std::atomic<bool> draining_{false};
  std::atomic<int> streams_cut_{0};
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
  absl::StatusOr<Stores> stores = Stores::Open(config);
  if (!stores.ok()) return stores.status();
  auto frontend =
      std::make_unique<WiredFrontend>(config, clock, *std::move(stores), *std::move(keys));
  const absl::Status listens = frontend->Listen(config);
  if (!listens.ok()) return listens;
  return frontend;
}

}  // namespace cogwheel
