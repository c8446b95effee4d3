#include "server/groups/peer_token.h"

#include <cerrno>
#include <system_error>

#include <sys/random.h>

#include <absl/strings/str_cat.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr size_t kTokenBytes = 16;

}  // namespace

absl::StatusOr<std::string> MakePeerToken() {
  std::string token(kTokenBytes, '\0');
  if (getrandom(token.data(), token.size(), 0) == static_cast<ssize_t>(kTokenBytes)) return token;
  return MakeError(
      absl::StatusCode::kInternal, "RANDOM",
      absl::StrCat("the system gives no random bytes: ", std::generic_category().message(errno)));
}

}  // namespace cogwheel
