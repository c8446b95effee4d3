#include "server/operate/operate_request.h"

#include <algorithm>
#include <array>
#include <ctime>

#include <absl/strings/str_cat.h>

#include "base/utf8.h"
#include "proto/contract/status.h"
#include "server/job/proto_time.h"

namespace cogwheel {
namespace {

constexpr size_t kMaxNameBytes = 128, kMaxReasonBytes = 255, kMaxBackupName = 64;
constexpr size_t kMostShown = 64;  // bytes of a value that is refused

template <typename... Parts>
absl::Status Refuse(const std::string& field, const Parts&... parts) {
  return MakeInvalidArgument("OPERATE", {{field, absl::StrCat(field, " ", parts...)}});
}

std::string Shown(const std::string& text) {
  return absl::StrCat("'", WithoutControls(std::string(ClipUtf8(text, kMostShown))), "'");
}

bool IsBackupName(const std::string& name) {
  return name.size() <= kMaxBackupName && std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
         });
}

std::string NameOfTime(Job::WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d-%H%M%S", &utc);
  return text.data();
}

}  // namespace

absl::Status CheckName(const std::string& field, const std::string& name) {
  if (!name.empty() && name.size() <= kMaxNameBytes) return absl::OkStatus();
  return Refuse(field, Shown(name), " has ", name.size(), " bytes; legal are 1 to ", kMaxNameBytes);
}

absl::Status CheckReason(const std::string& reason, size_t least) {
  if (HasControlCharacter(reason)) {
    return Refuse("reason", Shown(reason), " has a control character; legal is one line");
  }
  if (reason.size() >= least && reason.size() <= kMaxReasonBytes) return absl::OkStatus();
  return Refuse("reason", "has ", reason.size(), " bytes; legal are ", least, " to ",
                kMaxReasonBytes);
}

template <typename Request>
absl::StatusOr<PauseTarget> TargetOf(const Request& request) {
  PauseTarget target;
  if (request.has_model()) {
    target = {PauseTarget::Kind::kModel, request.model()};
  } else if (request.has_tenant()) {
    target = {PauseTarget::Kind::kTenant, request.tenant()};
  } else {
    return Refuse("target", "is missing; legal is a model or a tenant");
  }
  const absl::Status named = CheckName(request.has_model() ? "model" : "tenant", target.name);
  if (!named.ok()) return named;
  return target;
}
template absl::StatusOr<PauseTarget> TargetOf(const v1::PauseRequest& request);
template absl::StatusOr<PauseTarget> TargetOf(const v1::UnpauseRequest& request);

absl::StatusOr<Job::WallTime> PurgedBefore(const v1::PurgeRequest& request, Job::WallTime now) {
  if (!request.has_before()) return Refuse("before", "is missing; legal is a time up to now");
  const Job::WallTime before = ToWallTime(request.before());
  if (before <= now) return before;
  return Refuse("before", "lies in the future; the nearest legal value is now");
}

absl::StatusOr<std::string> BackupName(const v1::BackupRequest& request, Job::WallTime now) {
  if (request.name().empty()) return NameOfTime(now);
  if (IsBackupName(request.name())) return request.name();
  return Refuse("name", Shown(request.name()), " is not legal; legal are 1 to ", kMaxBackupName,
                " of a-z, 0-9, - and _");
}

absl::StatusOr<UsageWindow> WindowOf(const v1::GetUsageRequest& request, Job::WallTime now) {
  constexpr std::chrono::hours kDefault{24};
  UsageWindow window;
  window.to = request.has_to() ? ToWallTime(request.to()) : now;
  const Job::WallTime from = request.has_from() ? ToWallTime(request.from()) : window.to - kDefault;
  window.from = std::chrono::floor<std::chrono::hours>(from);
  if (window.from > window.to) return Refuse("from", "lies behind to; legal is a time before it");
  return window;
}

}  // namespace cogwheel
