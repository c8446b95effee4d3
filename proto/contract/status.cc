#include "proto/contract/status.h"

#include <algorithm>
#include <map>

#include <absl/strings/cord.h>
#include <absl/strings/match.h>
#include <google/protobuf/any.pb.h>

#include "base/utf8.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "proto/contract/connection_words.h"

namespace cogwheel {
namespace {

// Trailing metadata is limited (8 KiB by default), details are base64 there.
constexpr size_t kMaxMessageBytes = 1024;
constexpr size_t kMaxDescriptionBytes = 256;
constexpr size_t kMaxViolations = 12;
constexpr size_t kMaxDetailBytes = 5 * 1024;
constexpr char kDomain[] = "cogwheel";
constexpr char kTypePrefix[] = "type.googleapis.com/";

template <typename Detail>
std::string UrlOf() {
  return kTypePrefix + Detail::descriptor()->full_name();
}

template <typename Detail>
void SetDetail(absl::Status& status, const Detail& detail) {
  status.SetPayload(UrlOf<Detail>(), absl::Cord(detail.SerializeAsString()));
}

template <typename Detail>
std::optional<Detail> GetDetail(const absl::Status& status) {
  const auto payload = status.GetPayload(UrlOf<Detail>());
  Detail detail;
  if (!payload.has_value() || !detail.ParseFromString(std::string(*payload))) return std::nullopt;
  return detail;
}

}  // namespace

absl::Status MakeError(absl::StatusCode code, std::string_view reason, std::string_view message) {
  const std::string text(ClipUtf8(message, kMaxMessageBytes));
  absl::Status status(code, text);
  google::rpc::ErrorInfo info;
  info.set_reason(std::string(reason));
  info.set_domain(kDomain);
  SetDetail(status, info);
  return status;
}

absl::Status MakeInvalidArgument(std::string_view reason,
                                 const std::vector<FieldViolation>& violations) {
  absl::Status status = MakeError(absl::StatusCode::kInvalidArgument, reason,
                                  violations.empty() ? "" : violations.front().description);
  google::rpc::BadRequest bad_request;
  for (size_t i = 0; i < std::min(violations.size(), kMaxViolations); ++i) {
    auto* violation = bad_request.add_field_violations();
    violation->set_field(violations[i].field);
    violation->set_description(
        std::string(ClipUtf8(violations[i].description, kMaxDescriptionBytes)));
  }
  SetDetail(status, bad_request);
  return status;
}

absl::Status WithRetryAfter(absl::Status status, std::chrono::milliseconds delay) {
  google::rpc::RetryInfo retry;
  retry.mutable_retry_delay()->set_seconds(delay.count() / 1000);
  retry.mutable_retry_delay()->set_nanos(static_cast<int>(delay.count() % 1000) * 1'000'000);
  SetDetail(status, retry);
  return status;
}

std::string ErrorReason(const absl::Status& status) {
  const auto info = GetDetail<google::rpc::ErrorInfo>(status);
  return info.has_value() ? info->reason() : "";
}

std::string InWords(const absl::Status& status) {
  const std::string reason = ErrorReason(status);
  const std::string message(status.message());
  return reason.empty() ? message : message + " (reason " + reason + ")";
}

std::optional<std::chrono::milliseconds> RetryAfter(const absl::Status& status) {
  const auto retry = GetDetail<google::rpc::RetryInfo>(status);
  if (!retry.has_value()) return std::nullopt;
  return std::chrono::milliseconds(retry->retry_delay().seconds() * 1000 +
                                   retry->retry_delay().nanos() / 1'000'000);
}

grpc::Status ToGrpc(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  const std::string whole(status.message());
  const std::string message(ClipUtf8(whole, kMaxMessageBytes));
  google::rpc::Status details;
  details.set_code(static_cast<int>(status.code()));
  details.set_message(message);
  // Abseil hands payloads out in another order each time.
  std::map<std::string, std::string> payloads;
  status.ForEachPayload([&payloads](absl::string_view url, const absl::Cord& payload) {
    if (absl::StartsWith(url, kTypePrefix)) payloads.emplace(url, payload);  // others stay here
  });
  for (const auto& [url, payload] : payloads) {
    if (details.ByteSizeLong() + payload.size() > kMaxDetailBytes) continue;
    google::protobuf::Any* detail = details.add_details();
    detail->set_type_url(url);
    detail->set_value(payload);
  }
  const std::string bytes = details.details_size() == 0 ? "" : details.SerializeAsString();
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, bytes);
}

absl::Status FromGrpc(const grpc::Status& status) {
  if (status.ok()) return absl::OkStatus();
  const auto code = static_cast<absl::StatusCode>(status.error_code());
  google::rpc::Status details;
  if (status.error_details().empty() || !details.ParseFromString(status.error_details())) {
    // Most likely the library's own, of the connection; the few of ours without details are not
    // among its words.
    return absl::Status(code, ConnectionWords(status.error_message()));
  }
  absl::Status converted(code, status.error_message());
  for (const google::protobuf::Any& detail : details.details()) {
    converted.SetPayload(detail.type_url(), absl::Cord(detail.value()));
  }
  return converted;
}

}  // namespace cogwheel
