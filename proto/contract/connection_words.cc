#include "proto/contract/connection_words.h"

#include <array>

namespace cogwheel {
namespace {

struct Trouble {
  std::string_view part;  // of gRPC's message
  std::string_view words;
};

constexpr std::string_view kNoConnection = "failed to connect to all addresses; last error: ";

// The first that fits.
constexpr std::array kTroubles = {
    Trouble{"Connection refused", "connection refused; is cogwheel-server running there?"},
    Trouble{"Domain name not found", "the host's name is unknown"},
    Trouble{"contact DNS servers", "the host's name cannot be looked up: no DNS server answers"},
    Trouble{"DNS resolution failed", "the host's name cannot be looked up"},
    Trouble{"http1.x server",
            "an HTTP/1 server answers there; is it the --admin-listen port of cogwheel-server?"},
    Trouble{"certificate verify failed",
            "its certificate is not signed by the authority of --tls-ca"},
    Trouble{"is not in peer certificate",
            "its certificate is for another name; call it by a name that its certificate has"},
    Trouble{"wrong version number", "it does not speak TLS; leave --tls-ca away"},
    Trouble{"certificate required",
            "it asks for a certificate of the caller; give --tls-certificate and --tls-key"},
    Trouble{"alert bad certificate", "it does not take the certificate of --tls-certificate"},
    Trouble{"alert unknown ca", "it does not take the certificate of --tls-certificate"},
    Trouble{"before receiving SETTINGS frame", "it takes connections and says nothing"},
    Trouble{"No route to host", "there is no route to that host"},
    Trouble{"Network is unreachable", "its network is not reachable from here"},
    Trouble{"Connection reset", "the connection was reset"},
    Trouble{"Broken pipe", "the connection was lost"},
    Trouble{"keepalive watchdog timeout", "the connection was lost: no sign of life"},
    Trouble{"ping timeout", "the connection was lost: no sign of life"},
    Trouble{"GOAWAY", "it is ending its connections"},
    Trouble{"timed out", "no answer within the time limit"},
    Trouble{"imeout occurred", "no answer within the time limit"},
};

// "UNKNOWN: ipv4:127.0.0.1:1: text" without the first two.
std::string_view WithoutPlace(std::string_view text) {
  const size_t place = text.find(": ip");
  if (place == std::string_view::npos) return text;
  const size_t end = text.find(": ", place + 2);
  return end == std::string_view::npos ? text : text.substr(end + 2);
}

}  // namespace

std::string ConnectionWords(std::string_view message) {
  for (const Trouble& trouble : kTroubles) {
    if (message.find(trouble.part) != std::string_view::npos) return std::string(trouble.words);
  }
  const bool connecting = message.starts_with(kNoConnection);
  if (message.find("Socket closed") != std::string_view::npos) {
    return connecting ? "it closed the connection at once; does it want TLS (--tls-ca)?"
                      : "the connection was closed";
  }
  return std::string(connecting ? WithoutPlace(message.substr(kNoConnection.size())) : message);
}

}  // namespace cogwheel
