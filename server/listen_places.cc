#include "server/listen_places.h"

#include <string>

#include "base/listening.h"
#include "server/settings.h"

namespace cogwheel {

absl::Status CheckListenPlaces(const config::v1::ServerConfig& config) {
  const config::v1::ServerConfig defaults = DefaultServerConfig();
  const auto note = [](const std::string& address, const std::string& usual) {
    return address == usual ? " (the default)" : "";
  };
  constexpr char kHolder[] = "another cogwheel-server";
  absl::Status status = CheckCanListen(
      {"--listen", config.listen(), note(config.listen(), defaults.listen()), kHolder});
  if (status.ok() && config.internal_listen() != config.listen()) {
    status = CheckCanListen({"--internal-listen", config.internal_listen(), "", kHolder});
  }
  if (!status.ok()) return status;
  return CheckCanListen({"--admin-listen", config.admin_listen(),
                         note(config.admin_listen(), defaults.admin_listen()), kHolder});
}

}  // namespace cogwheel
