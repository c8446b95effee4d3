#include "worker/media/av_handles.h"

#include <absl/strings/str_cat.h>

namespace cogwheel {

absl::Status AvStatus(int code, absl::StatusCode kind, const std::string& what) {
  if (code >= 0) return absl::OkStatus();
  char text[AV_ERROR_MAX_STRING_SIZE] = {};
  av_strerror(code, text, sizeof(text));
  return absl::Status(kind, absl::StrCat(what, ": ", text));
}

void SilenceFfmpeg() { av_log_set_level(AV_LOG_QUIET); }

}  // namespace cogwheel
