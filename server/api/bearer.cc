#include "server/api/bearer.h"

#include <absl/strings/match.h>

namespace cogwheel {

std::optional<std::string> AuthorizationOf(const grpc::ServerContextBase& context) {
  const auto found = context.client_metadata().find("authorization");
  if (found == context.client_metadata().end()) return std::nullopt;
  return std::string(found->second.data(), found->second.size());
}

std::optional<std::string_view> BearerToken(const std::optional<std::string>& header) {
  constexpr char kScheme[] = "bearer ";
  if (!header.has_value() || !absl::StartsWithIgnoreCase(*header, kScheme)) return std::nullopt;
  const size_t token = header->find_first_not_of(' ', sizeof(kScheme) - 1);
  return token == std::string::npos ? std::string_view() : std::string_view(*header).substr(token);
}

}  // namespace cogwheel
