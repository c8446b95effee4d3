#include "server/api/access.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <iterator>
#include <set>
#include <utility>

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/json_util.h>

#include "base/log.h"
#include "base/sha256.h"
#include "proto/contract/status.h"
#include "server/api/bearer.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

using config::v1::AccessPolicy;

constexpr size_t kDigestDigits = 64, kMaxNameBytes = 64, kMaxTenants = 100;
constexpr int64_t kMaxFileBytes = 1024 * 1024;

// What a caller needs to call a method. One that is not named is closed to everybody.
struct Rule {
  std::string_view method, role;
};
constexpr std::array kRules = {
    Rule{"Generate", "submit"},     Rule{"CreateJob", "submit"},    Rule{"CancelJob", "submit"},
    Rule{"DeleteJob", "submit"},    Rule{"UploadInput", "submit"},  Rule{"GetJob", "read"},
    Rule{"ListJobs", "read"},       Rule{"WatchJob", "read"},       Rule{"DownloadVideo", "read"},
    Rule{"ListModels", "read"},     Rule{"ListGroups", "operate"},  Rule{"GetGroup", "operate"},
    Rule{"DrainGroup", "operate"},  Rule{"ResumeGroup", "operate"}, Rule{"Pause", "operate"},
    Rule{"Unpause", "operate"},     Rule{"RequeueJob", "operate"},  Rule{"FailJob", "operate"},
    Rule{"RetireModel", "operate"}, Rule{"Purge", "operate"},       Rule{"Backup", "operate"},
    Rule{"GetUsage", "operate"},    Rule{"SetLogLevel", "operate"},
};

bool IsRole(std::string_view text) {
  return text == "submit" || text == "read" || text == "operate";
}

bool IsDigest(const std::string& text) {
  return text.size() == kDigestDigits && std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

bool IsTenantName(const std::string& text) {
  return !text.empty() && text.size() <= kMaxNameBytes &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
         });
}

// The name of a weight or limit that is not legal; "" when all are.
std::string NegativeField(const AccessPolicy::Tenant& tenant) {
  if (!(tenant.weight() >= 0) || std::isinf(tenant.weight())) return "weight";
  const std::pair<const char*, int64_t> limits[] = {
      {"max_queued_jobs", tenant.max_queued_jobs()},
      {"max_kept_jobs", tenant.max_kept_jobs()},
      {"max_result_bytes", tenant.max_result_bytes()},
      {"max_queued_bytes", tenant.max_queued_bytes()},
      {"max_queued_seconds", tenant.max_queued_seconds()},
      {"max_running_jobs", tenant.max_running_jobs()},
      {"max_streams", tenant.max_streams()},
      {"max_downloads", tenant.max_downloads()},
      {"max_gpu_seconds", tenant.max_gpu_seconds()}};
  const auto wrong = std::ranges::find_if(limits, [](const auto& each) { return each.second < 0; });
  return wrong == std::end(limits) ? "" : wrong->first;
}

absl::Status CheckTenants(const AccessPolicy& policy, std::set<std::string>& names) {
  if (policy.tenants_size() > static_cast<int>(kMaxTenants)) {
    return absl::InvalidArgumentError(
        absl::StrCat(policy.tenants_size(), " tenants; at most ", kMaxTenants, " are legal"));
  }
  for (const AccessPolicy::Tenant& tenant : policy.tenants()) {
    if (!IsTenantName(tenant.name()) || !names.insert(tenant.name()).second) {
      return absl::InvalidArgumentError(
          absl::StrCat("tenant name '", tenant.name(),
                       "' is not legal; legal are 1 to 64 of a-z, 0-9 and -, each name once"));
    }
    const std::string negative = NegativeField(tenant);
    if (!negative.empty()) {
      return absl::InvalidArgumentError(absl::StrCat("tenant ", tenant.name(), " has a ", negative,
                                                     " that is not legal; legal is 0 or more"));
    }
  }
  return absl::OkStatus();
}

std::string TokenName(const AccessPolicy::Token& token) {
  return absl::StrCat("token ", token.sha256().substr(0, 8));
}

absl::Status CheckToken(const AccessPolicy::Token& token, const std::set<std::string>& tenants) {
  if (!IsDigest(token.sha256())) {
    return absl::InvalidArgumentError(
        "a token's sha256 is not 64 lower-case hexadecimal digits");  // its text may be a secret
  }
  const std::string which = TokenName(token);
  if (!tenants.contains(token.tenant())) {
    return absl::InvalidArgumentError(
        absl::StrCat(which, ": tenant '", token.tenant(), "' is not among the tenants"));
  }
  for (const std::string& role : token.roles()) {
    if (!IsRole(role)) {
      return absl::InvalidArgumentError(absl::StrCat(
          which, ": role '", role, "' is not legal; legal are submit, read and operate"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<AccessPolicy> ReadPolicy(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  std::string text(kMaxFileBytes, '\0');
  stream.read(text.data(), kMaxFileBytes);
  if (stream.gcount() == 0 || !stream.eof()) {
    return absl::InvalidArgumentError("it cannot be read, is empty or is larger than 1 MiB");
  }
  text.resize(static_cast<size_t>(stream.gcount()));
  AccessPolicy policy;
  const auto parsed = google::protobuf::util::JsonStringToMessage(text, &policy);
  if (!parsed.ok()) return absl::InvalidArgumentError("it is no JSON form of AccessPolicy");
  std::set<std::string> names, digests;
  absl::Status checked = CheckTenants(policy, names);
  for (const AccessPolicy::Token& token : policy.tokens()) {
    if (checked.ok()) checked = CheckToken(token, names);
    if (checked.ok() && !digests.insert(token.sha256()).second) {
      checked = absl::InvalidArgumentError(
          absl::StrCat(TokenName(token), " stands there twice; legal is each token once"));
    }
  }
  if (!checked.ok()) return checked;
  return policy;
}

absl::Status Unauthenticated(std::string_view reason, std::string_view message) {
  return MakeError(absl::StatusCode::kUnauthenticated, reason, message);
}

// A method without a role is closed to every token.
absl::Status Denied(std::string_view method, std::string_view role) {
  std::string message = absl::StrCat("the token may not call ", std::string(method));
  if (!role.empty()) absl::StrAppend(&message, ", which needs role ", std::string(role));
  return MakeError(absl::StatusCode::kPermissionDenied, "METHOD_DENIED", message);
}

}  // namespace

absl::StatusOr<std::unique_ptr<AccessControl>> AccessControl::Load(const std::string& file,
                                                                   const Clock& clock) {
  std::unique_ptr<AccessControl> access(new AccessControl(file, clock));
  const absl::Status read = file.empty() ? absl::OkStatus() : access->Read();
  if (!read.ok()) return read;
  return access;
}

absl::Status AccessControl::Read() {
  std::error_code error;
  read_time_ = std::filesystem::last_write_time(file_, error);
  absl::StatusOr<AccessPolicy> policy = ReadPolicy(file_);
  if (!policy.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--access-file ", file_, ": ", policy.status().message()));
  }
  MutexLock lock(mutex_);
  policy_ = *std::move(policy);
  tokens_.clear();
  for (const Token& token : policy_.tokens()) tokens_[token.sha256()] = token;
  return absl::OkStatus();
}

bool AccessControl::Reload() {
  if (file_.empty()) return false;
  std::error_code error;
  const auto time = std::filesystem::last_write_time(file_, error);
  if (error || time == read_time_) return false;  // gone for a moment: being replaced
  const absl::Status read = Read();
  if (read.ok()) {
    Log(LogLevel::kInfo, "access file read again", {{"file", file_}});
  } else {
    Log(LogLevel::kError, "access file not usable; the former one holds",
        {{"error", std::string(read.message())}});
  }
  return read.ok();
}

std::vector<AccessPolicy::Tenant> AccessControl::Tenants() const {
  if (open()) {
    AccessPolicy::Tenant everybody;
    everybody.set_name(kDefaultTenant);
    return {everybody};
  }
  MutexLock lock(mutex_);
  return {policy_.tenants().begin(), policy_.tenants().end()};
}

absl::StatusOr<std::string> AccessControl::Check(const grpc::ServerContextBase& context,
                                                 std::string_view method) const {
  return CheckHeader(AuthorizationOf(context), method);
}

absl::StatusOr<std::string> AccessControl::CheckHeader(const std::optional<std::string>& header,
                                                       std::string_view method) const {
  if (file_.empty()) return kDefaultTenant;
  const std::optional<std::string_view> sent = BearerToken(header);
  if (!sent.has_value()) {
    return Unauthenticated("NO_CREDENTIALS",
                           "the call has no bearer token; cogwheel sends one with --token-file");
  }
  const std::string digest = Sha256Hex(*sent);
  MutexLock lock(mutex_);
  const auto token = tokens_.find(digest);
  if (token == tokens_.end()) return Unauthenticated("BAD_CREDENTIALS", "the token is not known");
  const Token& found = token->second;
  if (found.has_expires() && ToWallTime(found.expires()) <= clock_.Wall()) {
    return Unauthenticated("BAD_CREDENTIALS", "the token has expired");
  }
  const auto rule = std::find_if(kRules.begin(), kRules.end(),
                                 [method](const Rule& each) { return each.method == method; });
  if (rule == kRules.end()) return Denied(method, /*role=*/"");
  if (std::find(found.roles().begin(), found.roles().end(), rule->role) != found.roles().end()) {
    return found.tenant();
  }
  return Denied(method, rule->role);
}

}  // namespace cogwheel
