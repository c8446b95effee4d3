#include "worker/pipeline/step_agreement.h"

#include <cstring>
#include <string>

#include "worker/comm/fnv.h"

namespace cogwheel {

uint64_t PlanHash(const JobSpec& spec, const Mesh& mesh) {
  Fnv fnv;
  for (const std::string* text : {&spec.job, &spec.prompt, &spec.negative_prompt}) {
    fnv.AddText(*text);
  }
  for (const int value :
       {int{spec.has_image}, spec.frames, spec.height, spec.width, spec.fps, spec.steps,
        int{spec.dynamic_cfg}, static_cast<int>(spec.scheduler), spec.max_sequence_length,
        int{spec.vae_tiling}, static_cast<int>(spec.output), spec.preview_every, mesh.cfg,
        mesh.ring, mesh.ulysses}) {
    fnv.AddNumber(value);
  }
  fnv.AddNumber(spec.guidance_scale);
  fnv.AddNumber(spec.seed);
  return fnv.hash();
}

StepAgreement::StepAgreement(Communicator& world, const JobSpec& spec, uint64_t plan_hash,
                             const CommandSource& command)
    : world_(world),
      command_(command),
      next_{.epoch = spec.epoch,
            .job_sequence = spec.job_sequence,
            .plan_hash = plan_hash,
            .issued = 0,
            .point = 0,
            .command = 0} {}

Command StepAgreement::Agree(BlockKind next) {
  const int64_t issued = world_.EnterBlock(next);
  if (block_ == BlockKind::kText || block_ == BlockKind::kStep) next_.issued += issued;
  block_ = next;
  Message message = next_;
  if (world_.rank() == 0) {
    message.command = static_cast<int32_t>(command_ ? command_() : Command::kRun);
    Announce(message);
  } else {
    message = Hear();
  }
  ++next_.point;
  world_.BlockAgreed();
  return static_cast<Command>(message.command);
}

void StepAgreement::AgreeToRun(BlockKind next) { LeaveUnlessRun(Agree(next)); }

void StepAgreement::Announce(const Message& message) {
  while (!open_.empty() && world_.Done(open_.front().ticket)) {
    world_.Finish(open_.front().ticket);
    open_.pop_front();
  }
  Announcement& announcement = open_.emplace_back();
  announcement.bytes.resize(sizeof(Message));
  std::memcpy(announcement.bytes.data(), &message, sizeof(Message));
  std::vector<SendPiece> sends;
  for (int peer = 1; peer < world_.size(); ++peer) {
    sends.push_back({.peer = peer, .data = announcement.bytes});
  }
  announcement.ticket = world_.Start(sends, {}, nullptr);
}

StepAgreement::Message StepAgreement::Hear() {
  Message message{};
  const RecvPiece piece{.peer = 0, .data = std::as_writable_bytes(std::span(&message, 1))};
  Exchange(world_, {}, std::span(&piece, 1), nullptr);
  const auto describe = [](const Message& m) {
    return "epoch " + std::to_string(m.epoch) + " job sequence " + std::to_string(m.job_sequence) +
           " point " + std::to_string(m.point) + " after " + std::to_string(m.issued) +
           " exchanges, plan " + std::to_string(m.plan_hash);
  };
  if (message.epoch != next_.epoch || message.job_sequence != next_.job_sequence ||
      message.plan_hash != next_.plan_hash || message.point != next_.point ||
      message.issued != next_.issued) {
    throw CommError("out of step: rank 0 stands at " + describe(message) + ", rank " +
                    std::to_string(world_.rank()) + " at " + describe(next_));
  }
  return message;
}

void StepAgreement::Close() {
  for (const Announcement& announcement : open_) world_.Finish(announcement.ticket);
  open_.clear();
}

void StepAgreement::LeaveUnlessRun(Command agreed) {
  if (agreed == Command::kRun) return;
  Close();
  throw JobCancelled(/*stop=*/agreed == Command::kStop);
}

}  // namespace cogwheel
