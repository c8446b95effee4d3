#include "server/operate/audit_log.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <absl/strings/str_cat.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/time_util.h>
#include <nlohmann/json.hpp>

#include "base/log.h"
#include "proto/contract/status.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

using Json = nlohmann::ordered_json;

Json FieldsOf(const google::protobuf::Message* request) {
  if (request == nullptr) return nullptr;
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string text;
  const auto printed = google::protobuf::util::MessageToJsonString(*request, &text, options);
  return printed.ok() ? Json::parse(text) : Json();
}

std::string LineOf(const AuditEntry& entry, const Clock& clock) {
  const Json line = {
      {"time", google::protobuf::util::TimeUtil::ToString(ToTimestamp(clock.Wall()))},
      {"token", entry.token},
      {"tenant", entry.tenant},
      {"host", entry.host},
      {"method", entry.method},
      {"request", FieldsOf(entry.request)},
      {"code", absl::StatusCodeToString(entry.outcome.code())},
      {"reason", ErrorReason(entry.outcome)}};
  return line.dump(-1, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

// In one write: other processes may add lines too.
bool WriteLine(int fd, const std::string& line) {
  const std::string text = line + "\n";
  return write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
}

}  // namespace

absl::StatusOr<std::unique_ptr<AuditLog>> AuditLog::Open(const std::string& file,
                                                         const Clock& clock) {
  std::unique_ptr<AuditLog> log(new AuditLog(file, clock));
  if (file.empty()) return log;
  AuditLog& made = *log;
  MutexLock lock(made.mutex_);
  if (made.OpenFile()) return log;
  return absl::InvalidArgumentError(
      absl::StrCat("--audit-file ", file, ": ", std::strerror(errno)));
}

AuditLog::~AuditLog() {
  MutexLock lock(mutex_);
  if (fd_ >= 0) close(fd_);
}

// True when the file of that name is open; errno says why not.
bool AuditLog::OpenFile() {
  struct stat opened, named;
  if (fd_ >= 0 && fstat(fd_, &opened) == 0 && stat(file_.c_str(), &named) == 0 &&
      opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
    return true;
  }
  if (fd_ >= 0) close(fd_);
  fd_ = open(file_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
  return fd_ >= 0;
}

absl::Status AuditLog::Check() {
  if (file_.empty()) return absl::OkStatus();
  MutexLock lock(mutex_);
  if (OpenFile()) return absl::OkStatus();
  return MakeError(absl::StatusCode::kUnavailable, "AUDIT",
                   "the audit log cannot be written, so nothing is done");
}

void AuditLog::Write(const AuditEntry& entry) {
  const std::string line = LineOf(entry, clock_);
  {
    MutexLock lock(mutex_);
    if (!file_.empty() && OpenFile() && WriteLine(fd_, line)) return;
  }
  const LogLevel level = file_.empty() ? LeastLogLevel() : LogLevel::kError;
  Log(level, file_.empty() ? "operator's call" : "audit line that its file cannot take",
      {{"audit", line}});
}

}  // namespace cogwheel
