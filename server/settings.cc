#include "server/settings.h"

#include <cstdint>
#include <string>

#include <absl/strings/numbers.h>
#include <absl/strings/str_cat.h>

#include "proto/contract/config_comments.h"
#include "server/api/grpc_server.h"

namespace cogwheel {
namespace {

constexpr int kMostResultHours = 876'000;  // a century; 292 years of nanoseconds are too many
constexpr int kMostWindowHours = 744;      // 31 days
constexpr int kMostGraceSeconds = 3600;
constexpr int64_t kLeastReceiveBytes = 67'108'864;  // three of the largest requests

absl::Status CheckAddress(const char* flag, const std::string& address) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(0, colon);
  const bool bracketed = host.starts_with("[") && host.ends_with("]");
  int port = -1;
  if (colon != std::string::npos && colon > 0 &&
      (bracketed || host.find(':') == std::string::npos) &&
      absl::SimpleAtoi(address.substr(colon + 1), &port) && port >= 0 && port <= 65535) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat(flag, " '", address,
                   "' is not legal; legal is HOST:PORT with a port of 0 to 65535, for example "
                   "127.0.0.1:50051 or [::1]:50051"));
}

// A certificate and its key come together, and what other machines reach is encrypted.
absl::Status CheckTls(const std::string& prefix, const std::string& address,
                      const std::string& certificate, const std::string& key, bool plaintext) {
  if (certificate.empty() != key.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--", prefix, "tls-certificate and --", prefix,
                                                   "tls-key are given together or not at all"));
  }
  if (!certificate.empty() || plaintext || IsLoopback(address)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      "--", prefix, "listen ", address,
      " can be reached by other machines and would speak plaintext: give --", prefix,
      "tls-certificate and --", prefix, "tls-key, or --allow-plaintext where a proxy ends TLS"));
}

// The internal port has a pair of its own unless it is the callers' port.
absl::Status CheckBothTls(const config::v1::ServerConfig& config) {
  const absl::Status outer = CheckTls("", config.listen(), config.tls_certificate(),
                                      config.tls_key(), config.allow_plaintext());
  if (!outer.ok()) return outer;
  const bool shared = config.internal_listen() == config.listen();
  return CheckTls("internal-", config.internal_listen(),
                  shared ? config.tls_certificate() : config.internal_tls_certificate(),
                  shared ? config.tls_key() : config.internal_tls_key(), config.allow_plaintext());
}

// Whoever joins as a rank is handed jobs with all tenants' texts and pictures, and what it returns
// is their video: where callers need a token, ranks need a credential of their own.
absl::Status CheckRankKeys(const config::v1::ServerConfig& config) {
  if (config.access_file().empty() || !config.rank_token_file().empty()) return absl::OkStatus();
  const bool own_port = config.internal_listen() != config.listen();
  const bool encrypted = !config.internal_tls_certificate().empty();
  if (own_port && encrypted && !config.internal_tls_ca().empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      "with --access-file ranks need a credential too, or anybody could join as one: give "
      "--rank-token-file, or --internal-tls-ca with --internal-tls-certificate and an "
      "--internal-listen of its own");
}

// The ranks' port is the callers' only where nobody else comes.
absl::Status FillInternalListen(config::v1::ServerConfig& config) {
  if (config.has_internal_listen()) return absl::OkStatus();
  if (IsLoopback(config.listen()) && config.access_file().empty()) {
    config.set_internal_listen(config.listen());
    return absl::OkStatus();
  }
  const std::string why =
      config.access_file().empty()
          ? absl::StrCat("--listen ", config.listen(), ", which other machines can reach")
          : "--access-file";
  return absl::InvalidArgumentError(
      absl::StrCat("--internal-listen is required with ", why,
                   ": ranks are not to share a public port; legal is HOST:PORT"));
}

}  // namespace

std::vector<SettingRange> ServerRanges() {
  return {{"result_hours", 1, kMostResultHours},
          {"max_result_bytes", 1},
          {"max_kept_jobs", 1},
          {"max_queued_jobs", 1},
          {"max_queued_bytes", 1},
          {"max_queued_seconds", 1},
          {"max_tenant_queued_jobs", 1},
          {"max_tenant_kept_jobs", 1},
          {"max_tenant_result_bytes", 1},
          {"max_tenant_queued_bytes", 1},
          {"max_tenant_queued_seconds", 1},
          {"max_tenant_running_jobs", 0},
          {"max_tenant_gpu_seconds", 0},
          {"quota_window_hours", 1, kMostWindowHours},
          {"max_streams", 1},
          {"max_tenant_streams", 1},
          {"max_tenant_downloads", 1},
          {"max_receive_memory_bytes", kLeastReceiveBytes},
          {"holder_grace_seconds", 0, kMostGraceSeconds},
          {"max_calls_per_second", 0},
          {"max_call_burst", 1},
          {"stalled_stream_seconds", 1},
          {"shutdown_grace_seconds", 0}};
}

ProgramInfo ServerProgram(const std::string& versions) {
  return {.name = "cogwheel-server",
          .summary = "Accepts video jobs over gRPC and hands them to groups of ranks.",
          .versions = versions,
          .comments = ConfigComments(),
          .ranges = ServerRanges(),
          .examples = {"cogwheel-server --data-dir ./cogwheel-data"},
          .exit_codes = {{"0", "Stopped as asked."},
                         {"2", "A setting, a file or the data cannot be used as it is."},
                         {"3", "It cannot run now: for example an address is in use."}}};
}

config::v1::ServerConfig DefaultServerConfig() {
  config::v1::ServerConfig config;
  config.set_listen("127.0.0.1:50051");
  config.set_admin_listen("127.0.0.1:9090");
  config.set_data_dir("./cogwheel-data");
  config.set_max_queued_jobs(256);
  config.set_max_queued_bytes(int64_t{1} << 30);
  config.set_max_kept_jobs(10'000);
  config.set_shutdown_grace_seconds(30);
  config.set_max_queued_seconds(86'400);
  config.set_stalled_stream_seconds(30);
  config.set_max_result_bytes(int64_t{100} << 30);
  config.set_result_hours(7 * 24);
  config.set_max_calls_per_second(5000);
  config.set_max_call_burst(10'000);
  config.set_max_tenant_running_jobs(0);
  config.set_max_tenant_gpu_seconds(0);
  config.set_quota_window_hours(24);
  config.set_max_streams(1024);
  config.set_max_tenant_downloads(16);
  config.set_max_receive_memory_bytes(int64_t{512} << 20);
  config.set_holder_grace_seconds(15);
  config.set_log_level("info");
  return config;
}

absl::StatusOr<config::v1::ServerConfig> CheckServerConfig(config::v1::ServerConfig config) {
  const absl::Status listen = CheckAddress("--listen", config.listen());
  if (!listen.ok()) return listen;
  const absl::Status internal = FillInternalListen(config);
  if (!internal.ok()) return internal;
  const absl::Status checks[] = {CheckAddress("--internal-listen", config.internal_listen()),
                                 CheckAddress("--admin-listen", config.admin_listen()),
                                 CheckBothTls(config), CheckRankKeys(config),
                                 CheckRanges(config, ServerRanges())};
  for (const absl::Status& check : checks) {
    if (!check.ok()) return check;
  }
  if (config.data_dir().empty()) {
    return absl::InvalidArgumentError("--data-dir '' is not legal; legal is a folder");
  }
  if (!config.has_costs_file()) config.set_costs_file(config.data_dir() + "/costs.json");
  return config;
}

}  // namespace cogwheel
