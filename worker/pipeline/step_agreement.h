#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

#include "worker/comm/communicator.h"
#include "worker/journal/program_journal.h"
#include "worker/pipeline/pipeline.h"

namespace cogwheel {

// What two ranks of a job must have in common. FNV-1a over every field that shapes the program (the
// image itself is rank 0's alone), the mesh and the group's size.
uint64_t PlanHash(const JobSpec& spec, const Mesh& mesh);

// Keeps the ranks of a job in one program order: before every unit of work world rank 0 tells all
// others {epoch, job_sequence, point, exchanges issued, command, plan hash} and each checks that it
// stands at the same point of the same job and came there by as many exchanges. Rank 0 never waits
// for the others here, so a wavefront keeps running. Owned by the rank thread.
class StepAgreement {
 public:
  // `journal` is the world's.
  StepAgreement(Communicator& world, ProgramJournal& journal, const JobSpec& spec,
                uint64_t plan_hash, const StepCommandSource& command);
  // Rank 0's open sends are finished by Close; after a failure the world is lost and nothing waits.
  ~StepAgreement() = default;

  // The command for the next unit, the same on every rank. Throws CommError when a rank stands
  // elsewhere.
  StepCommand Agree(BlockKind next = BlockKind::kStep);
  // Agree, then LeaveUnlessRun.
  void AgreeToRun(BlockKind next = BlockKind::kStep);
  // For an agreed command: nothing for kRun, else Close and JobCancelled.
  void LeaveUnlessRun(StepCommand agreed);
  // Waits until all announcements have left. Ends every job, cancelled or not.
  void Close();

 private:
  struct Message {
    int64_t epoch, job_sequence;
    uint64_t plan_hash;
    int64_t issued;  // exchanges so far, in blocks that are alike on all ranks
    int32_t point, command;
  };
  struct Announcement {
    std::vector<std::byte> bytes;
    Communicator::Ticket ticket;
  };
  void Announce(const Message& message);
  Message Hear();

  Communicator& world_;
  ProgramJournal& journal_;
  const StepCommandSource& command_;
  Message next_;
  BlockKind block_ = BlockKind::kNone;  // the current one
  std::deque<Announcement> open_;       // rank 0: sends not yet finished
};

}  // namespace cogwheel
