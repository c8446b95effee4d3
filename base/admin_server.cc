#include "base/admin_server.h"

#include <string_view>
#include <utility>
#include <vector>

#include <CivetServer.h>
#include <absl/strings/str_cat.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "base/listening.h"

namespace cogwheel {
namespace {

constexpr char kPlainText[] = "text/plain; charset=utf-8";

// What stands at one path. HEAD is GET without the body; other methods are refused.
class Page {
 public:
  struct Answer {
    int code = 200;
    std::string type;
    std::string text;
  };
  explicit Page(std::function<Answer()> answer) : answer_(std::move(answer)) {}

  // Of Civetweb's C interface: its C++ handlers see seven methods only.
  static int Serve(mg_connection* connection, void* page) {
    const std::string_view method = mg_get_request_info(connection)->request_method;
    if (method != "GET" && method != "HEAD") return Refuse(connection, method);
    const Answer answer = static_cast<const Page*>(page)->answer_();
    const char* words = answer.code == 200 ? " OK" : " Service Unavailable";
    Send(connection,
         absl::StrCat("HTTP/1.1 ", answer.code, words, "\r\nContent-Type: ", answer.type,
                      "\r\nContent-Length: ", answer.text.size(), "\r\nConnection: close\r\n\r\n"));
    if (method == "GET") Send(connection, answer.text);
    return answer.code;
  }

 private:
  static void Send(mg_connection* connection, const std::string& bytes) {
    mg_write(connection, bytes.data(), bytes.size());
  }
  static int Refuse(mg_connection* connection, std::string_view method) {
    const std::string text =
        absl::StrCat("method ", std::string(method), "; legal is GET or HEAD\n");
    Send(connection,
         absl::StrCat(
             "HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\nContent-Type: ", kPlainText,
             "\r\nContent-Length: ", text.size(), "\r\nConnection: close\r\n\r\n", text));
    return 405;
  }

  const std::function<Answer()> answer_;
};

// Civetweb's, with what a handler in C needs.
class Server final : public CivetServer {
 public:
  using CivetServer::CivetServer;
  void Add(const char* path, Page& page) {
    mg_set_request_handler(context, path, &Page::Serve, &page);
  }
};

std::function<Page::Answer()> ProbePage(std::function<ProbeAnswer()> probe) {
  return [probe = std::move(probe)] {
    const ProbeAnswer answer = probe();
    return Page::Answer{answer.ok ? 200 : 503, kPlainText, answer.text + "\n"};
  };
}

class CivetAdminServer final : public AdminServer {
 public:
  CivetAdminServer(const std::string& host, const std::vector<std::string>& options,
                   Handlers handlers)
      : handlers_(std::move(handlers)),
        metrics_([this] { return Metrics(); }),
        live_(ProbePage(handlers_.live)),
        ready_(ProbePage(handlers_.ready)),
        status_(
            [this] { return Page::Answer{200, "application/json", handlers_.status() + "\n"}; }),
        server_(options) {
    server_.Add("/metrics", metrics_);
    server_.Add("/livez", live_);
    server_.Add("/readyz", ready_);
    server_.Add("/statusz", status_);
    address_ = absl::StrCat(host, ":", server_.getListeningPorts().at(0));
  }
  std::string address() const override { return address_; }

 private:
  Page::Answer Metrics() const {
    if (handlers_.before_scrape) handlers_.before_scrape();
    return {200, "text/plain; version=0.0.4; charset=utf-8",
            prometheus::TextSerializer().Serialize(handlers_.registry->Collect())};
  }

  const Handlers handlers_;
  Page metrics_, live_, ready_, status_;
  Server server_;  // last: stops before the pages go
  std::string address_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(const std::string& address,
                                                                Handlers handlers) {
  const size_t colon = address.rfind(':');
  const std::string host = colon == std::string::npos ? "" : address.substr(0, colon);
  const std::vector<std::string> options = {
      "listening_ports",    address, "num_threads",       "8",
      "request_timeout_ms", "5000",  "enable_keep_alive", "no"};
  try {  // Civetweb reports by exception; it ends here
    return std::make_unique<CivetAdminServer>(host, options, std::move(handlers));
  } catch (const std::exception&) {
    const absl::Status why = CheckCanListen({"--admin-listen", address, "", ""});
    if (!why.ok()) return why;
    return absl::UnavailableError(
        absl::StrCat("--admin-listen ", address, ": cannot listen there"));
  }
}

}  // namespace cogwheel
