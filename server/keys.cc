#include "server/keys.h"

#include <utility>

#include <absl/strings/str_cat.h>

#include "base/secret.h"
#include "base/sha256.h"

namespace cogwheel {

absl::StatusOr<Keys> Keys::Load(const config::v1::ServerConfig& config, const Clock& clock) {
  auto access = AccessControl::Load(config.access_file(), clock);
  if (!access.ok()) return access.status();
  auto audit = AuditLog::Open(config.audit_file(), clock);
  if (!audit.ok()) return audit.status();
  Keys keys{*std::move(access), *std::move(audit), ""};
  if (config.rank_token_file().empty()) return keys;
  const absl::StatusOr<std::string> token = ReadSecret(config.rank_token_file());
  if (!token.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--rank-token-file: ", token.status().message()));
  }
  keys.rank_token_digest = Sha256Hex(*token);
  return keys;
}

}  // namespace cogwheel
