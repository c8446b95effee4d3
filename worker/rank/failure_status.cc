#include "worker/rank/failure_status.h"

#include <absl/strings/cord.h>

#include "proto/contract/protocol.h"

namespace cogwheel {
namespace {

constexpr char kReasonPayload[] = "cogwheel/reason";
constexpr char kTogetherPayload[] = "cogwheel/left_together";

absl::StatusCode CodeOf(const Failure& failure) {
  switch (failure.kind) {
    case FailureKind::kInvalid:
      return absl::StatusCode::kInvalidArgument;
    case FailureKind::kOutOfMemory:
      return absl::StatusCode::kResourceExhausted;
    case FailureKind::kIo:
    case FailureKind::kComm:
    case FailureKind::kOutOfStep:
      return absl::StatusCode::kUnavailable;
    case FailureKind::kCancelled:
      return failure.stopping ? absl::StatusCode::kAborted : absl::StatusCode::kCancelled;
    case FailureKind::kNotFinite:
    case FailureKind::kInternal:
      break;
  }
  return absl::StatusCode::kInternal;
}

const char* ReasonOf(FailureKind kind) {
  switch (kind) {
    case FailureKind::kOutOfStep:
      return kOutOfStepReason;
    case FailureKind::kOutOfMemory:
      return kOutOfMemoryReason;
    case FailureKind::kNotFinite:
      return kNotFiniteReason;
    case FailureKind::kInvalid:
    case FailureKind::kIo:
    case FailureKind::kComm:
    case FailureKind::kCancelled:
    case FailureKind::kInternal:
      break;
  }
  return nullptr;
}

}  // namespace

absl::Status ToStatus(const Failure& failure) {
  absl::Status status(CodeOf(failure), failure.message);
  const char* reason = ReasonOf(failure.kind);
  if (reason != nullptr) status.SetPayload(kReasonPayload, absl::Cord(reason));
  if (failure.kind == FailureKind::kNotFinite || failure.heard) MarkLeftTogether(status);
  return status;
}

std::string ReasonOf(const absl::Status& status) {
  return std::string(status.GetPayload(kReasonPayload).value_or(absl::Cord()));
}

bool LeftTogether(const absl::Status& status) {
  return status.ok() || absl::IsCancelled(status) ||
         status.GetPayload(kTogetherPayload).has_value();
}

void MarkLeftTogether(absl::Status& status) { status.SetPayload(kTogetherPayload, absl::Cord()); }

}  // namespace cogwheel
