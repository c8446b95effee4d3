#include "server/api/call_limiter.h"

#include <algorithm>
#include <array>
#include <cmath>

#include <arpa/inet.h>
#include <netinet/in.h>

#include <absl/strings/str_cat.h>
#include <absl/strings/str_replace.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr char kUnknownHost[] = "unknown";

absl::Status TooMany(const std::string& why, std::chrono::duration<double> wait) {
  return WithRetryAfter(
      MakeError(absl::StatusCode::kResourceExhausted, "CALL_RATE", why),
      std::chrono::milliseconds(static_cast<int64_t>(std::ceil(wait.count() * 1000))));
}

std::string HostOfVersionFour(const in_addr& address) {
  std::array<char, INET_ADDRSTRLEN> text{};
  return absl::StrCat("ipv4:", inet_ntop(AF_INET, &address, text.data(), text.size()));
}

std::string HostOfVersionSix(in6_addr address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr mapped{};
    std::copy_n(address.s6_addr + 12, sizeof(mapped), reinterpret_cast<uint8_t*>(&mapped));
    return HostOfVersionFour(mapped);
  }
  std::fill(address.s6_addr + 8, address.s6_addr + 16, uint8_t{0});
  std::array<char, INET6_ADDRSTRLEN> text{};
  return absl::StrCat("ipv6:", inet_ntop(AF_INET6, &address, text.data(), text.size()), "/64");
}

}  // namespace

absl::Status CallLimiter::Take(Time& full, Time now) const {
  const std::chrono::duration<double> missing = std::max(full - now, Time::duration(0));
  const std::chrono::duration<double> wait = missing + ToFill(1) - ToFill(limits_.burst);
  constexpr std::chrono::nanoseconds kRounding{1};
  if (wait > kRounding) {
    return TooMany(absl::StrCat("too many calls; the limit of one caller is ", limits_.per_second,
                                " a second and ", limits_.burst, " at once"),
                   wait);
  }
  full = now + std::chrono::duration_cast<Time::duration>(missing + ToFill(1));
  return absl::OkStatus();
}

absl::Status CallLimiter::TakeOfTenant(const std::string& tenant) {
  if (limits_.per_second <= 0) return absl::OkStatus();
  const Time now = clock_.Now();
  MutexLock lock(mutex_);
  return Take(tenants_.try_emplace(tenant, now).first->second, now);
}

absl::Status CallLimiter::TakeOfHost(const std::string& host) {
  if (limits_.per_second <= 0) return absl::OkStatus();
  const Time now = clock_.Now();
  MutexLock lock(mutex_);
  if (hosts_.size() == kMaxHosts && !hosts_.contains(host)) {
    const auto first = by_full_.begin();
    if (first->first > now) {
      return TooMany(absl::StrCat("too many callers; ", kMaxHosts, " hosts have called just now"),
                     first->first - now);
    }
    hosts_.erase(first->second);
    by_full_.erase(first);
  }
  Time& full = hosts_.try_emplace(host, now).first->second;
  by_full_.erase({full, host});
  absl::Status taken = Take(full, now);
  by_full_.emplace(full, host);
  return taken;
}

size_t CallLimiter::hosts() const {
  MutexLock lock(mutex_);
  return hosts_.size();
}

std::string HostOfPeer(std::string_view peer) {
  const size_t colon = peer.find(':');
  const std::string_view family = peer.substr(0, colon);
  if (family == "unix") return "unix";
  if (colon == std::string_view::npos) return kUnknownHost;
  std::string address(peer.substr(colon + 1));
  address = address.substr(0, address.rfind(':'));
  in_addr four{};
  if (family == "ipv4" && inet_pton(AF_INET, address.c_str(), &four) == 1) {
    return HostOfVersionFour(four);
  }
  address = absl::StrReplaceAll(address, {{"%5B", ""}, {"%5D", ""}, {"[", ""}, {"]", ""}});
  address = address.substr(0, address.find('%'));  // the zone of a link-local one
  in6_addr six{};
  if (family == "ipv6" && inet_pton(AF_INET6, address.c_str(), &six) == 1) {
    return HostOfVersionSix(six);
  }
  return kUnknownHost;
}

}  // namespace cogwheel
