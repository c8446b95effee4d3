#include "server/job/store_error.h"

#include <optional>

#include <absl/strings/cord.h>

#include "proto/contract/status.h"

namespace cogwheel {
namespace {

constexpr char kDetailUrl[] = "cogwheel/store-detail";  // of a form that ToGrpc leaves out

absl::Status Public(StoreFault fault) {
  switch (fault) {
    case StoreFault::kFull:
      return MakeError(absl::StatusCode::kResourceExhausted, "STORE_FULL",
                       "the server's disk is full");
    case StoreFault::kFailed:
      return MakeError(absl::StatusCode::kUnavailable, "STORE",
                       "the server's store does not answer now");
    case StoreFault::kRefused:
      break;
  }
  return MakeError(absl::StatusCode::kInternal, "STORE_REFUSED",
                   "the server's store cannot hold what was to be written");
}

}  // namespace

absl::Status StoreError(StoreFault fault, const std::string& detail) {
  absl::Status status = Public(fault);
  status.SetPayload(kDetailUrl, absl::Cord(detail));
  return status;
}

std::string StoreDetail(const absl::Status& status) {
  const auto detail = status.GetPayload(kDetailUrl);
  return detail.has_value() ? std::string(*detail) : std::string(status.message());
}

}  // namespace cogwheel
