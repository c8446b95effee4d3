#include "worker/pipeline/step_agreement.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>

#include "base/fnv.h"

namespace cogwheel {
namespace {

constexpr auto kFail = static_cast<int32_t>(StepCommand::kFail);

}  // namespace

uint64_t PlanHash(const JobSpec& spec, const Mesh& mesh) {
  // Every member by name: one more stops the build until it is added below, or left out there with
  // a reason. Left out: epoch and job_sequence, which are agreed on beside the hash, and the
  // picture, which is rank 0's alone.
  const auto& [job, epoch, job_sequence, prompt, negative_prompt, has_image, image_rgb,
               image_height, image_width, frames, height, width, fps, steps, guidance_scale,
               dynamic_cfg, scheduler, seed, max_sequence_length, vae_tiling, output,
               preview_every] = spec;
  Fnv fnv;
  for (const std::string* text : {&job, &prompt, &negative_prompt}) fnv.AddText(*text);
  for (const int value :
       {int{has_image}, frames, height, width, fps, steps, int{dynamic_cfg},
        static_cast<int>(scheduler), max_sequence_length, int{vae_tiling}, static_cast<int>(output),
        preview_every, mesh.cfg, mesh.ring, mesh.ulysses}) {
    fnv.AddNumber(value);
  }
  fnv.AddNumber(guidance_scale);
  fnv.AddNumber(seed);
  return fnv.hash();
}

StepAgreement::StepAgreement(Communicator& world, ProgramJournal& journal, const JobSpec& spec,
                             uint64_t plan_hash, const StepCommandSource& command)
    : world_(world),
      journal_(journal),
      command_(command),
      next_{.epoch = spec.epoch,
            .job_sequence = spec.job_sequence,
            .plan_hash = plan_hash,
            .issued = 0,
            .point = 0,
            .command = static_cast<int32_t>(StepCommand::kRun),
            .failing_rank = 0,
            .place = {}} {}

StepCommand StepAgreement::Agree(BlockKind next) {
  const bool alike = block_ == BlockKind::kText || block_ == BlockKind::kStep;
  if (alike) TellRankZero();
  const int64_t issued = journal_.EnterBlock(next);
  if (alike) next_.issued += issued;
  block_ = next;
  const StepCommand agreed = HearRankZero(command_);
  journal_.BlockAgreed();
  return agreed;
}

void StepAgreement::FoundNotFinite(std::string_view place) {
  if (std::exchange(next_.command, kFail) == kFail) return;
  next_.failing_rank = world_.rank();
  place.substr(0, next_.place.size() - 1).copy(next_.place.data(), next_.place.size() - 1);
}

// Rank 0 waits for the others, who go on.
void StepAgreement::TellRankZero() {
  std::vector<Message> heard(world_.size());
  std::vector<SendPiece> sends;
  std::vector<RecvPiece> recvs;
  if (world_.rank() != 0) sends.push_back({.peer = 0, .data = std::as_bytes(std::span(&next_, 1))});
  for (int peer = 1; world_.rank() == 0 && peer < world_.size(); ++peer) {
    recvs.push_back({.peer = peer, .data = std::as_writable_bytes(std::span(&heard[peer], 1))});
  }
  Exchange(world_, sends, recvs, nullptr);
  const auto failing = std::ranges::find(heard, kFail, &Message::command);
  if (failing == heard.end() || next_.command == kFail) return;
  next_.command = kFail;
  next_.failing_rank = failing->failing_rank;
  next_.place = failing->place;
}

StepCommand StepAgreement::HearRankZero(const StepCommandSource& source) {
  agreed_ = next_;
  if (world_.rank() == 0) {
    if (next_.command != kFail && source) agreed_.command = static_cast<int32_t>(source());
    Announce(agreed_);
  } else {
    agreed_ = Hear();
  }
  ++next_.point;
  return static_cast<StepCommand>(agreed_.command);
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

void StepAgreement::LeaveUnlessRun(StepCommand agreed) {
  if (agreed == StepCommand::kRun) return;
  Close();
  if (agreed != StepCommand::kFail) throw JobCancelled(/*stop=*/agreed == StepCommand::kStop);
  throw NotFinite("not finite: " + std::string(agreed_.place.data()) + " on rank " +
                  std::to_string(agreed_.failing_rank));
}

void StepAgreement::Conclude() {
  // What is complete is not cancelled.
  TellRankZero();
  LeaveUnlessRun(HearRankZero(/*source=*/{}));
  Close();
}

}  // namespace cogwheel
