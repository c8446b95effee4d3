#include "worker/rpc/wire_orders.h"

#include <cmath>
#include <optional>

#include <unistd.h>

#include <google/protobuf/unknown_field_set.h>

#include "proto/contract/protocol.h"
#include "proto/contract/status.h"

namespace cogwheel {
namespace {

// About six previews a job.
constexpr int kPreviewsPerJob = 6;
constexpr int kMaxPlanNumber = 1 << 24;

using internal::v1::JobPlan;

void SetDefaultScheduler(SchedulerKind kind, internal::v1::ModelInfo& info) {
  switch (kind) {
    case SchedulerKind::kDdim:
      info.set_default_scheduler(internal::v1::SCHEDULER_DDIM);
      info.set_default_scheduler_word("ddim");
      return;
    case SchedulerKind::kDpm:
      info.set_default_scheduler(internal::v1::SCHEDULER_DPM);
      info.set_default_scheduler_word("dpm");
      return;
  }
}

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
  SetDefaultScheduler(model.default_scheduler, info);
  info.set_frames_multiple(model.frames_multiple);
  info.set_max_frames(model.max_frames);
  info.set_max_area(model.max_area);
  info.set_max_height(model.max_height);
  info.set_max_width(model.max_width);
  info.set_max_steps(model.max_steps);
  info.set_max_text_tokens(model.max_text_tokens);
  info.set_image_required(model.image_required);
  info.set_fixed_shape(model.fixed_shape);
  info.set_description(model.description);
  info.mutable_sample_prompts()->Assign(model.sample_prompts.begin(), model.sample_prompts.end());
  info.mutable_vocabulary()->Assign(model.vocabulary.begin(), model.vocabulary.end());
  return info;
}

// nullopt for one that this build does not know.
std::optional<OutputKind> OutputOf(const JobPlan& plan) {
  switch (plan.output_type()) {
    case internal::v1::OUTPUT_TYPE_UNSPECIFIED:
      if (plan.output_type_word() == "video") return OutputKind::kVideo;
      if (plan.output_type_word() == "frames") return OutputKind::kFrames;
      if (plan.output_type_word() == "latent") return OutputKind::kLatent;
      break;
    case internal::v1::OUTPUT_TYPE_VIDEO:
      return OutputKind::kVideo;
    case internal::v1::OUTPUT_TYPE_FRAMES:
      return OutputKind::kFrames;
    case internal::v1::OUTPUT_TYPE_LATENT:
      return OutputKind::kLatent;
    case internal::v1::OutputType_INT_MIN_SENTINEL_DO_NOT_USE_:
    case internal::v1::OutputType_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

// As above.
std::optional<SchedulerKind> SchedulerOf(const JobPlan& plan) {
  switch (plan.scheduler()) {
    case internal::v1::SCHEDULER_UNSPECIFIED:
      if (plan.scheduler_word() == "ddim") return SchedulerKind::kDdim;
      if (plan.scheduler_word() == "dpm") return SchedulerKind::kDpm;
      break;
    case internal::v1::SCHEDULER_DDIM:
      return SchedulerKind::kDdim;
    case internal::v1::SCHEDULER_DPM:
      return SchedulerKind::kDpm;
    case internal::v1::Scheduler_INT_MIN_SENTINEL_DO_NOT_USE_:
    case internal::v1::Scheduler_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return std::nullopt;
}

absl::Status NotUnderstoodError(const std::string& field, int value, const std::string& word) {
  return MakeError(absl::StatusCode::kUnimplemented, "NOT_UNDERSTOOD",
                   "this rank does not know " + field + " " +
                       (value == 0 ? "\"" + word + "\"" : std::to_string(value)));
}

// Numbers that no model can run; what a model can is its pipeline's to say.
absl::Status CheckNumbers(const JobPlan& plan) {
  const std::pair<const char*, int> positive[] = {
      {"frames", plan.frames()}, {"height", plan.height()},
      {"width", plan.width()},   {"fps", plan.fps()},
      {"steps", plan.steps()},   {"max_sequence_length", plan.max_sequence_length()}};
  for (const auto& [field, value] : positive) {
    if (value >= 1 && value <= kMaxPlanNumber) continue;
    return MakeError(absl::StatusCode::kInternal, "BAD_PLAN",
                     std::string(field) + " is " + std::to_string(value));
  }
  if (std::isfinite(plan.guidance_scale()) && plan.guidance_scale() >= 0) return absl::OkStatus();
  return MakeError(absl::StatusCode::kInternal, "BAD_PLAN",
                   "guidance_scale is " + std::to_string(plan.guidance_scale()));
}

absl::Status Check(const JobPlan& plan) {
  if (!OutputOf(plan).has_value()) {
    return NotUnderstoodError("output_type", plan.output_type(), plan.output_type_word());
  }
  if (!SchedulerOf(plan).has_value()) {
    return NotUnderstoodError("scheduler", plan.scheduler(), plan.scheduler_word());
  }
  return CheckNumbers(plan);
}

RunOrder ToRunOrder(internal::v1::RunJob&& message) {
  JobPlan& plan = *message.mutable_plan();
  RunOrder order;
  order.problem = Check(plan);
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
  spec.scheduler = SchedulerOf(plan).value_or(spec.scheduler);
  spec.seed = plan.seed();
  spec.max_sequence_length = plan.max_sequence_length();
  spec.vae_tiling = plan.vae_tiling();
  spec.output = OutputOf(plan).value_or(spec.output);
  if (order.problem.ok()) {
    spec.preview_every = (spec.steps + kPreviewsPerJob - 1) / kPreviewsPerJob;
  }
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
  hello.set_protocol(kProtocol);
  hello.set_oldest_protocol(kOldestProtocol);
  hello.set_wavefront_on_gpus(identity.wavefront_on_gpus);
  hello.set_replaces_killed_for_memory(identity.replaces_killed_for_memory);
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
      return absl::InternalError("no order");
    case Message::MESSAGE_NOT_SET:
      break;
  }
  return absl::UnimplementedError("a message of unknown kind");
}

// Whatever it is, where it names an epoch and a job it has them in the fields of StartJob.
internal::v1::NotUnderstood ToNotUnderstood(const internal::v1::FrontendMessage& message) {
  internal::v1::NotUnderstood answer;
  answer.set_protocol(kProtocol);
  const auto& unknown = message.GetReflection()->GetUnknownFields(message);
  if (unknown.empty()) return answer;
  const google::protobuf::UnknownField& field = unknown.field(0);
  answer.set_field(field.number());
  internal::v1::StartJob about;
  if (field.type() == google::protobuf::UnknownField::TYPE_LENGTH_DELIMITED &&
      about.ParseFromString(field.length_delimited())) {
    answer.set_epoch(about.epoch());
    answer.set_job_sequence(about.job_sequence());
  }
  return answer;
}

void SetStage(Stage stage, internal::v1::Progress& progress) {
  switch (stage) {
    case Stage::kTextEncode:
      progress.set_stage(internal::v1::STAGE_TEXT_ENCODE);
      return progress.set_stage_word("text_encode");
    case Stage::kDenoise:
      progress.set_stage(internal::v1::STAGE_DENOISE);
      return progress.set_stage_word("denoise");
    case Stage::kDecode:
      progress.set_stage(internal::v1::STAGE_DECODE);
      return progress.set_stage_word("decode");
  }
}

}  // namespace cogwheel
