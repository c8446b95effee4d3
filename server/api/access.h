#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <absl/status/statusor.h>
#include <grpcpp/server_context.h>

#include "base/clock.h"
#include "base/mutex.h"
#include "cogwheel/config/v1/config.pb.h"

namespace cogwheel {

inline constexpr char kDefaultTenant[] = "default";  // everybody, without an access file

// Who may call what: bearer tokens from a file, each of one tenant and with roles. The tenant of a
// call comes from here and nowhere else. Thread-safe.
class AccessControl {
 public:
  // Without a file every caller is tenant `default` with every role. INVALID_ARGUMENT names the
  // file and what is wrong with it.
  static absl::StatusOr<std::unique_ptr<AccessControl>> Load(const std::string& file,
                                                             const Clock& clock);

  // True without a file: callers prove nothing.
  bool open() const { return file_.empty(); }
  // The caller's tenant. UNAUTHENTICATED (NO_CREDENTIALS, BAD_CREDENTIALS) or PERMISSION_DENIED
  // (METHOD_DENIED).
  absl::StatusOr<std::string> Check(const grpc::ServerContextBase& context,
                                    std::string_view method) const COGWHEEL_EXCLUDES(mutex_);
  // As Check, of the value of an `authorization` header.
  absl::StatusOr<std::string> CheckHeader(const std::optional<std::string>& header,
                                          std::string_view method) const COGWHEEL_EXCLUDES(mutex_);

  // Reads the file again if it was changed. True when another policy holds now; a file that cannot
  // be used is logged once and the former policy stays.
  bool Reload() COGWHEEL_EXCLUDES(mutex_);
  // Those of the file; without one, `default`.
  std::vector<config::v1::AccessPolicy::Tenant> Tenants() const COGWHEEL_EXCLUDES(mutex_);

 private:
  using Token = config::v1::AccessPolicy::Token;
  AccessControl(std::string file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}
  absl::Status Read() COGWHEEL_EXCLUDES(mutex_);

  const std::string file_;  // empty: open to all
  const Clock& clock_;
  std::optional<std::filesystem::file_time_type> read_time_;  // of the loop's thread alone
  mutable Mutex mutex_;
  config::v1::AccessPolicy policy_ COGWHEEL_GUARDED_BY(mutex_);
  std::map<std::string, Token> tokens_ COGWHEEL_GUARDED_BY(mutex_);  // by digest
};

}  // namespace cogwheel
