// What a frontend sends: any message is an order whose job can be planned or is refused with a
// reason, or it is answered as not understood.
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "proto/contract/status.h"
#include "worker/rpc/wire_orders.h"

namespace {

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

void CheckRun(const cogwheel::RunOrder& run) {
  if (!run.problem.ok()) {
    Require(!cogwheel::ErrorReason(run.problem).empty() && !run.problem.message().empty());
    return;
  }
  const cogwheel::JobSpec& spec = run.spec;
  for (const int value :
       {spec.frames, spec.height, spec.width, spec.fps, spec.steps, spec.max_sequence_length}) {
    Require(value >= 1);
  }
  Require(std::isfinite(spec.guidance_scale));
  Require(spec.preview_every >= 1 && spec.preview_every <= spec.steps);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  cogwheel::internal::v1::FrontendMessage message;
  if (!message.ParseFromArray(data, static_cast<int>(size))) return 0;
  const auto answer = cogwheel::ToNotUnderstood(message);
  Require(answer.field() >= 0);
  const auto order = cogwheel::ToOrder(message);
  if (!order.ok()) {
    Require(!order.status().message().empty());
  } else if (const auto* run = std::get_if<cogwheel::RunOrder>(&*order)) {
    CheckRun(*run);
  }
  return 0;
}
