#pragma once

#include <memory>
#include <optional>
#include <string>

#include <absl/status/status.h>
#include <absl/status/statusor.h>
#include <google/protobuf/message.h>

#include "base/clock.h"
#include "base/mutex.h"

namespace cogwheel {

// Who did what, and what came of it: one call of OperateService.
struct AuditEntry {
  std::string token;   // the first 8 digits of its digest; empty: none was sent
  std::string tenant;  // the token's; empty: it is not known
  std::string host;    // of the caller
  std::string method;
  const google::protobuf::Message* request = nullptr;  // null: it was not read
  absl::Status outcome;
};

// Lines of JSON at the end of a file, which may be moved away at any time: the next line is in a
// new one. Without a file they are lines of the log, whatever its level. Thread-safe; waits for the
// disk.
class AuditLog {
 public:
  // INVALID_ARGUMENT, naming the flag, when the file cannot be written.
  static absl::StatusOr<std::unique_ptr<AuditLog>> Open(const std::string& file,
                                                        const Clock& clock);
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Before anything is done: UNAVAILABLE (AUDIT) when there is no file to write to.
  absl::Status Check() COGWHEEL_EXCLUDES(mutex_);
  // What the file cannot take, on a full disk say, is a line of the log instead: a purge must be
  // possible then.
  void Write(const AuditEntry& entry) COGWHEEL_EXCLUDES(mutex_);

 private:
  AuditLog(std::string file, const Clock& clock) : file_(std::move(file)), clock_(clock) {}
  bool OpenFile() COGWHEEL_REQUIRES(mutex_);

  const std::string file_;  // empty: the log
  const Clock& clock_;
  Mutex mutex_;
  int fd_ COGWHEEL_GUARDED_BY(mutex_) = -1;
};

}  // namespace cogwheel
