#include "server/settings.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using config::v1::ServerConfig;
using testing::HasSubstr;

std::string Refusal(const ServerConfig& config) {
  const absl::Status status = CheckServerConfig(config).status();
  EXPECT_TRUE(absl::IsInvalidArgument(status)) << config.ShortDebugString();
  return std::string(status.message());
}

TEST(ServerConfig, DefaultsAreLegalAndFillInWhatFollows) {
  ServerConfig config = DefaultServerConfig();
  const ServerConfig checked = CheckServerConfig(config).value();
  EXPECT_EQ(config.listen(), checked.internal_listen());
  EXPECT_FALSE(checked.has_max_tenant_streams()) << "a share, of tenants that are not known here";
  EXPECT_EQ(config.data_dir() + "/costs.json", checked.costs_file());
  config.set_costs_file("");
  EXPECT_EQ("", CheckServerConfig(config)->costs_file()) << "none are kept";
}

TEST(ServerConfig, NumbersOutOfRangeNameTheNearest) {
  ServerConfig config = DefaultServerConfig();
  config.set_max_queued_jobs(0);
  EXPECT_THAT(Refusal(config), HasSubstr("--max-queued-jobs 0 is not legal; the nearest"));
  config = DefaultServerConfig();
  config.set_result_hours(0);
  EXPECT_THAT(Refusal(config), HasSubstr("--result-hours 0 is not legal; the nearest legal value "
                                         "is 1"));
}

// More would run over the nanoseconds of a 64-bit time, and every result would be too old at once.
TEST(ServerConfig, ResultsAreKeptForACenturyAtMost) {
  ServerConfig config = DefaultServerConfig();
  config.set_result_hours(876'000);
  EXPECT_TRUE(CheckServerConfig(config).ok());
  config.set_result_hours(9'999'999);
  EXPECT_THAT(Refusal(config), HasSubstr("--result-hours 9999999 is not legal; the nearest legal "
                                         "value is 876000"));
}

TEST(ServerConfig, WhatOthersReachIsEncryptedUnlessAllowed) {
  ServerConfig config = DefaultServerConfig();
  config.set_listen("0.0.0.0:50051");
  EXPECT_THAT(Refusal(config), HasSubstr("--internal-listen is required"));
  config.set_internal_listen("127.0.0.1:50052");
  EXPECT_THAT(Refusal(config), HasSubstr("--allow-plaintext"));
  config.set_tls_certificate("certificate");
  EXPECT_THAT(Refusal(config), HasSubstr("--tls-key are given together"));
  config.set_tls_key("key");
  EXPECT_TRUE(CheckServerConfig(config).ok());
  config.set_internal_listen("10.0.0.1:50052");
  EXPECT_THAT(Refusal(config), HasSubstr("--internal-listen 10.0.0.1:50052"));
  config.set_allow_plaintext(true);
  EXPECT_TRUE(CheckServerConfig(config).ok());
}

// Whoever joins as a rank reads all tenants' jobs and answers them.
TEST(ServerConfig, WhereCallersNeedTokensRanksNeedACredential) {
  ServerConfig config = DefaultServerConfig();
  config.set_access_file("access.json");
  EXPECT_THAT(Refusal(config), HasSubstr("--internal-listen is required with --access-file"));
  config.set_internal_listen("127.0.0.1:50052");
  EXPECT_THAT(Refusal(config), HasSubstr("give --rank-token-file, or --internal-tls-ca with "
                                         "--internal-tls-certificate"));
  ServerConfig with_token = config;
  with_token.set_rank_token_file("token");
  EXPECT_TRUE(CheckServerConfig(with_token).ok());
  with_token.set_internal_listen(with_token.listen());
  EXPECT_TRUE(CheckServerConfig(with_token).ok()) << "the token guards that port too";
  config.set_internal_tls_ca("ca");
  EXPECT_THAT(Refusal(config), HasSubstr("--internal-tls-certificate"))
      << "without one of its own the port speaks plaintext and asks for none";
  config.set_internal_tls_certificate("certificate");
  config.set_internal_tls_key("key");
  EXPECT_TRUE(CheckServerConfig(config).ok());
  config.set_internal_listen(config.listen());
  EXPECT_THAT(Refusal(config), HasSubstr("--internal-listen of its own"))
      << "on the callers' port callers' certificates pass";
}

// A name that begins like an address of this host can be any host's.
TEST(ServerConfig, OnlyAddressesOfThisHostNeedNoEncryption) {
  for (const char* own : {"127.0.0.1:0", "127.8.9.10:50051", "localhost:1", "[::1]:50051"}) {
    ServerConfig config = DefaultServerConfig();
    config.set_listen(own);
    EXPECT_TRUE(CheckServerConfig(config).ok()) << own;
  }
  for (const char* others : {"127.example.org:1", "127.0.0.1.example.org:1", "[::]:1", "unix:1"}) {
    ServerConfig config = DefaultServerConfig();
    config.set_listen(others);
    EXPECT_THAT(Refusal(config), HasSubstr("--internal-listen is required")) << others;
  }
}

TEST(ServerConfig, AnAddressOfVersionSixStandsInBrackets) {
  for (const char* wrong : {"::1:50051", "::1", "unix:/run/socket:0", "[::1", "http://host:1"}) {
    ServerConfig config = DefaultServerConfig();
    config.set_listen(wrong);
    EXPECT_THAT(Refusal(config), HasSubstr("or [::1]:50051")) << wrong;
  }
}

}  // namespace
}  // namespace cogwheel
