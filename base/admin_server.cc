#include "base/admin_server.h"

#include <utility>
#include <vector>

#include <CivetServer.h>
#include <absl/strings/str_cat.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace cogwheel {
namespace {

// One GET, answered with what `answer` makes. Civetweb's handlers are a base class.
class TextHandler final : public CivetHandler {
 public:
  struct Answer {
    int code = 200;
    std::string type;
    std::string text;
  };
  explicit TextHandler(std::function<Answer()> answer) : answer_(std::move(answer)) {}

  bool handleGet(CivetServer*, mg_connection* connection) override {
    const Answer answer = answer_();
    const std::string head =
        absl::StrCat("HTTP/1.1 ", answer.code, answer.code == 200 ? " OK" : " Service Unavailable",
                     "\r\nContent-Type: ", answer.type, "\r\nContent-Length: ", answer.text.size(),
                     "\r\nConnection: close\r\n\r\n");
    mg_write(connection, head.data(), head.size());
    mg_write(connection, answer.text.data(), answer.text.size());
    return true;
  }

 private:
  const std::function<Answer()> answer_;
};

std::function<TextHandler::Answer()> ProbeHandler(std::function<ProbeAnswer()> probe) {
  return [probe = std::move(probe)] {
    const ProbeAnswer answer = probe();
    return TextHandler::Answer{answer.ok ? 200 : 503, "text/plain; charset=utf-8",
                               answer.text + "\n"};
  };
}

class CivetAdminServer final : public AdminServer {
 public:
  CivetAdminServer(const std::string& host, const std::vector<std::string>& options,
                   Handlers handlers)
      : handlers_(std::move(handlers)),
        metrics_([this] { return Metrics(); }),
        live_(ProbeHandler(handlers_.live)),
        ready_(ProbeHandler(handlers_.ready)),
        status_([this] {
          return TextHandler::Answer{200, "application/json", handlers_.status() + "\n"};
        }),
        server_(options) {
    server_.addHandler("/metrics", metrics_);
    server_.addHandler("/livez", live_);
    server_.addHandler("/readyz", ready_);
    server_.addHandler("/statusz", status_);
    address_ = absl::StrCat(host, ":", server_.getListeningPorts().at(0));
  }
  std::string address() const override { return address_; }

 private:
  TextHandler::Answer Metrics() const {
    if (handlers_.before_scrape) handlers_.before_scrape();
    return {200, "text/plain; version=0.0.4; charset=utf-8",
            prometheus::TextSerializer().Serialize(handlers_.registry->Collect())};
  }

  const Handlers handlers_;
  TextHandler metrics_, live_, ready_, status_;
  CivetServer server_;  // last: stops before the handlers go
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& address,
                                                                Handlers handlers) {
  const size_t colon = address.rfind(':');
  const std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  const std::vector<std::string> options = {
      "listening_ports",    address, "num_threads",       "2",
      "request_timeout_ms", "5000",  "enable_keep_alive", "no"};
  try {  // Civetweb reports by exception; it ends here
    return std::make_unique<CivetAdminServer>(host, options, std::move(handlers));
  } catch (const std::exception&) {
    return absl::UnavailableError(
        absl::StrCat("--admin-listen ", address, ": cannot listen there"));
  }
}

}  // namespace cogwheel
