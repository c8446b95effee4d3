#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <grpcpp/server_context.h>

// Bearer tokens of callers and of ranks (RFC 6750).
namespace cogwheel {

// The value of the call's `authorization` header, if it has one.
std::optional<std::string> AuthorizationOf(const grpc::ServerContextBase& context);

// What follows the scheme of "Bearer TOKEN"; the scheme is legal in any case (RFC 7235). A view
// into `header`; nullopt without a header or with another scheme.
std::optional<std::string_view> BearerToken(const std::optional<std::string>& header);

}  // namespace cogwheel
