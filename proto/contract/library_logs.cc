#include "proto/contract/library_logs.h"

#include <chrono>

#include <absl/strings/str_cat.h>
#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include "base/log.h"
#include "base/mutex.h"

namespace cogwheel {
namespace {

// A peer that dials again and again makes the same line each time: as text one a minute will do.
class Repetition {
 public:
  bool Told(const std::string& words) COGWHEEL_EXCLUDES(mutex_) {
    const auto now = std::chrono::steady_clock::now();
    const MutexLock lock(mutex_);
    if (words == words_ && now - since_ < std::chrono::minutes(1)) return true;
    words_ = words;
    since_ = now;
    return false;
  }

 private:
  Mutex mutex_;
  std::string words_ COGWHEEL_GUARDED_BY(mutex_);
  std::chrono::steady_clock::time_point since_ COGWHEEL_GUARDED_BY(mutex_);
};

// gRPC takes a function without a place for its state.
Repetition& LastLine() {
  static Repetition last;
  return last;
}

// These libraries call errors what a peer did wrong: a warning for us.
void OnGrpcLine(gpr_log_func_args* line) {
  if (line->severity != GPR_LOG_SEVERITY_ERROR) return;
  const std::string words = LibraryWords(line->message);
  if (words.empty()) return;
  Log(LogLevel::kWarning, words,
      {{"library", "grpc"}, {"at", absl::StrCat(line->file, ":", line->line)}},
      LastLine().Told(words) ? Audience::kMachines : Audience::kOnce);
}

void OnProtobufLine(google::protobuf::LogLevel level, const char* file, int line,
                    const std::string& message) {
  if (level < google::protobuf::LOGLEVEL_ERROR) return;
  Log(LogLevel::kWarning, message,
      {{"library", "protobuf"}, {"at", absl::StrCat(file, ":", line)}});
}

}  // namespace

std::string LibraryWords(std::string_view line) {
  for (const std::string_view said_better :
       {"No address added out of total", "Failed to add port", "Server returned failure"}) {
    if (line.find(said_better) != std::string_view::npos) return "";
  }
  constexpr std::string_view kHandshake = "Handshake failed with fatal error ";
  if (line.starts_with(kHandshake)) {
    const size_t routine = line.rfind("::");  // "SSL_ERROR_SSL: error:0A00010B:SSL routines::why."
    if (line.find("wrong version number") != std::string_view::npos) {
      return "a TLS handshake failed: the caller does not speak TLS";
    }
    return absl::StrCat("a TLS handshake failed: ",
                        std::string(line.substr(
                            routine == std::string_view::npos ? kHandshake.size() : routine + 2)));
  }
  constexpr std::string_view kName = "No match found for server name: ";
  if (line.starts_with(kName)) {
    return absl::StrCat("a caller uses a name that the certificate does not have: ",
                        std::string(line.substr(kName.size())));
  }
  const size_t tree = line.find(" {");
  return std::string(line.substr(0, tree));
}

void TakeLibraryLogs() {
  gpr_set_log_function(OnGrpcLine);
  google::protobuf::SetLogHandler(OnProtobufLine);
}

}  // namespace cogwheel
