#include "worker/rank/guard.h"

#include <exception>

namespace cogwheel {
namespace {

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
    case FailureKind::kInternal:
      break;
  }
  return absl::StatusCode::kInternal;
}

}  // namespace

absl::Status ToStatus(const Failure& failure) {
  absl::Status status(CodeOf(failure), failure.message);
  if (failure.kind == FailureKind::kOutOfStep) status.SetPayload(kOutOfStep, absl::Cord());
  return status;
}

absl::Status Guard(const std::function<void()>& work) {
  try {
    work();
    return absl::OkStatus();
  } catch (...) {
    return ToStatus(DescribeFailure(std::current_exception()));
  }
}

}  // namespace cogwheel
