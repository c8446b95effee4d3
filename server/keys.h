#pragma once

#include <memory>
#include <string>

#include <absl/status/statusor.h>

#include "base/clock.h"
#include "cogwheel/config/v1/config.pb.h"
#include "server/api/access.h"
#include "server/operate/audit_log.h"

namespace cogwheel {

// Who is let in, and where it is written what operators did.
struct Keys {
  std::unique_ptr<AccessControl> access;
  std::unique_ptr<AuditLog> audit;
  std::string rank_token_digest;  // empty: ranks need none

  // INVALID_ARGUMENT names the flag and the file that cannot be used.
  static absl::StatusOr<Keys> Load(const config::v1::ServerConfig& config, const Clock& clock);
};

}  // namespace cogwheel
