// Requests of clients: any message is refused with a reason or resolves to one that the model can
// run.
#include <cstddef>
#include <cstdint>
#include <string>

#include "cogwheel/v1/video_service.pb.h"
#include "proto/contract/image_header.h"
#include "proto/contract/status.h"
#include "proto/contract/validate.h"
#include "server/job/request_hash.h"
#include "tests/support/test_model.h"

namespace {

using cogwheel::v1::GenerateRequest;
using cogwheel::v1::Model;

void Require(bool holds) {
  if (!holds) __builtin_trap();
}

void CheckRunnable(const GenerateRequest& request, const Model& model) {
  const cogwheel::v1::ModelLimits& limits = model.limits();
  Require(!request.prompt().empty() && request.prompt().size() <= cogwheel::kMaxPromptBytes);
  Require(request.frames() >= 1 && request.frames() <= limits.max_frames());
  Require((request.frames() - 1) % limits.frames_multiple() == 0);
  Require(request.height() >= 16 && request.height() % 16 == 0);
  Require(request.width() >= 16 && request.width() % 16 == 0);
  Require(int64_t{request.height()} * request.width() <= limits.max_area());
  Require(request.steps() >= 1 && request.steps() <= limits.max_steps());
  Require(request.guidance_scale() >= 0 && request.guidance_scale() <= 50);
  Require(request.max_sequence_length() >= 1 &&
          request.max_sequence_length() <= limits.max_text_tokens());
  Require(request.image().empty() != limits.image_required());
  Require(cogwheel::ResolveRequest(request, model, /*random_seed=*/1).ok());
}

void CheckRefusal(const absl::Status& status) {
  Require(absl::IsInvalidArgument(status) && !status.message().empty());
  Require(!cogwheel::ErrorReason(status).empty());
  Require(cogwheel::FromGrpc(cogwheel::ToGrpc(status)).code() == status.code());
}

void Try(const GenerateRequest& request, const Model& model) {
  const auto resolved = cogwheel::ResolveRequest(request, model, /*random_seed=*/1);
  if (resolved.ok()) {
    Require(cogwheel::ValidateRequest(request).ok());
    CheckRunnable(*resolved, model);
  } else {
    CheckRefusal(resolved.status());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string bytes(reinterpret_cast<const char*>(data), size);
  const auto image = cogwheel::ReadImageHeader(bytes);
  Require(!image.ok() || (image->width > 0 && image->height > 0));
  const auto name = cogwheel::NormalizeJobName(bytes);
  Require(!name.ok() || name->size() == 31);
  GenerateRequest request;
  if (!request.ParseFromString(bytes)) return 0;
  Try(request, cogwheel::TestModel());
  Model fixed = cogwheel::TestModel();
  fixed.mutable_limits()->set_fixed_shape(true);
  fixed.mutable_limits()->set_image_required(true);
  Try(request, fixed);
  Require(cogwheel::RequestHash(request).size() == 64);
  return 0;
}
