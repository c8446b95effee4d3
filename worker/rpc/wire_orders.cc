#include "worker/rpc/wire_orders.h"

#include <unistd.h>

namespace cogwheel {
namespace {

// About six previews a job.
constexpr int kPreviewsPerJob = 6;

internal::v1::ModelInfo ToModelInfo(const ModelDescription& model) {
  internal::v1::ModelInfo info;
  info.set_name(model.name);
  info.set_digest(model.digest);
  info.set_default_frames(model.default_frames);
  info.set_default_height(model.default_height);
  info.set_default_width(model.default_width);
  info.set_default_fps(model.default_fps);
  info.set_default_steps(model.default_steps);
  info.set_default_guidance_scale(model.default_guidance_scale);
  info.set_default_scheduler(model.default_scheduler == SchedulerKind::kDpm ? "dpm" : "ddim");
  info.set_frames_multiple(model.frames_multiple);
  info.set_max_frames(model.max_frames);
  info.set_max_area(model.max_area);
  info.set_max_height(model.max_height);
  info.set_max_width(model.max_width);
  info.set_max_steps(model.max_steps);
  info.set_max_text_tokens(model.max_text_tokens);
  info.set_image_required(model.image_required);
  info.set_fixed_shape(model.fixed_shape);
  return info;
}

absl::StatusOr<OutputKind> ToOutputKind(std::string_view name) {
  if (name == "video") return OutputKind::kVideo;
  if (name == "frames") return OutputKind::kFrames;
  if (name == "latent") return OutputKind::kLatent;
  return absl::InternalError("output_type \"" + std::string(name) + "\" is unknown");
}

absl::StatusOr<Order> ToRunOrder(internal::v1::RunJob&& message) {
  internal::v1::JobPlan& plan = *message.mutable_plan();
  const absl::StatusOr<OutputKind> output = ToOutputKind(plan.output_type());
  if (!output.ok()) return output.status();
  RunOrder order;
  JobSpec& spec = order.spec;
  spec.job = message.job();
  spec.epoch = message.epoch();
  spec.job_sequence = message.job_sequence();
  spec.prompt = std::move(*plan.mutable_prompt());
  spec.negative_prompt = std::move(*plan.mutable_negative_prompt());
  spec.has_image = plan.has_image();
  spec.frames = plan.frames();
  spec.height = plan.height();
  spec.width = plan.width();
  spec.fps = plan.fps();
  spec.steps = plan.steps();
  spec.guidance_scale = plan.guidance_scale();
  spec.dynamic_cfg = plan.dynamic_cfg();
  spec.scheduler = plan.scheduler() == "dpm" ? SchedulerKind::kDpm : SchedulerKind::kDdim;
  spec.seed = plan.seed();
  spec.max_sequence_length = plan.max_sequence_length();
  spec.vae_tiling = plan.vae_tiling();
  spec.output = *output;
  spec.preview_every = (spec.steps + kPreviewsPerJob - 1) / kPreviewsPerJob;
  order.image_bytes = std::move(*plan.mutable_image());
  return order;
}

AssignOrder ToAssignOrder(const internal::v1::Assign& message) {
  return {.epoch = message.epoch(),
          .world_rank = message.world_rank(),
          .peer_addresses = {message.peer_addresses().begin(), message.peer_addresses().end()},
          .token = message.token()};
}

}  // namespace

internal::v1::Hello ToHello(const RankIdentity& identity) {
  internal::v1::Hello hello;
  hello.set_group(identity.group);
  hello.mutable_mesh()->set_cfg(identity.mesh.cfg);
  hello.mutable_mesh()->set_ring(identity.mesh.ring);
  hello.mutable_mesh()->set_ulysses(identity.mesh.ulysses);
  hello.set_host(identity.host);
  hello.set_device(identity.device);
  hello.set_local_rank(identity.local_rank);
  hello.set_code_version(identity.code_version);
  hello.set_nccl_version(identity.nccl_version);
  hello.set_dtype(identity.dtype);
  *hello.mutable_model() = ToModelInfo(identity.model);
  hello.set_peer_address(identity.peer_address);
  hello.set_pid(getpid());
  return hello;
}

absl::StatusOr<Order> ToOrder(internal::v1::FrontendMessage message) {
  using Message = internal::v1::FrontendMessage;
  switch (message.message_case()) {
    case Message::kAssign:
      return ToAssignOrder(message.assign());
    case Message::kRunJob:
      return ToRunOrder(std::move(*message.mutable_run_job()));
    case Message::kStartJob:
      return StartOrder{.epoch = message.start_job().epoch(),
                        .job_sequence = message.start_job().job_sequence()};
    case Message::kDropJob:
      return DropOrder{.epoch = message.drop_job().epoch(),
                       .job_sequence = message.drop_job().job_sequence()};
    case Message::kShutdown:
      return ShutdownOrder{.epoch = message.shutdown().epoch(),
                           .reason = message.shutdown().reason()};
    case Message::kCancelJob:
    case Message::kStopJob:
    case Message::kBeat:
    case Message::MESSAGE_NOT_SET:
      break;
  }
  return absl::InternalError("an order of unknown kind");
}

std::string_view StageName(Stage stage) {
  switch (stage) {
    case Stage::kTextEncode:
      return "text_encode";
    case Stage::kDenoise:
      return "denoise";
    case Stage::kDecode:
      break;
  }
  return "decode";
}

}  // namespace cogwheel
