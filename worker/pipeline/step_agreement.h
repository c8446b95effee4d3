#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
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
// stands at the same point of the same job and came there by as many exchanges. Rank 0 does not
// wait for the others here, so a wavefront keeps running.
//
// The other way round, each rank tells rank 0 at the end of a step, of the text and of the job
// whether its values were finite. If one's were not, all leave the job at the next point. Owned by
// the rank thread.
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
  // For an agreed command: nothing for kRun, else Close and JobCancelled or NotFinite.
  void LeaveUnlessRun(StepCommand agreed);
  // This rank has made values that are not finite, in `place` ("step 3 of 50"; cut at 63 bytes).
  // The first place stays.
  void FoundNotFinite(std::string_view place);
  // After the last unit: the last chance to tell. Throws NotFinite, or closes.
  void Conclude();
  // Waits until all announcements have left. Ends every job, cancelled or not.
  void Close();

 private:
  struct Message {
    int64_t epoch, job_sequence;
    uint64_t plan_hash;
    int64_t issued;  // exchanges so far, in blocks that are alike on all ranks
    int32_t point, command;
    int32_t failing_rank;        // with kFail
    std::array<char, 64> place;  // ... and where, ending with 0
  };
  struct Announcement {
    std::vector<std::byte> bytes;
    Communicator::Ticket ticket;
  };
  // Of what was found since the last time. The last exchange of the block that ends.
  void TellRankZero();
  // What all ranks do next. Rank 0 asks `source`, unless a rank fails.
  StepCommand HearRankZero(const StepCommandSource& source);
  void Announce(const Message& message);
  Message Hear();

  Communicator& world_;
  ProgramJournal& journal_;
  const StepCommandSource& command_;
  Message next_;  // this rank's; kFail once values were not finite: its own, on rank 0 any rank's
  Message agreed_{};                    // the last
  BlockKind block_ = BlockKind::kNone;  // the current one
  std::deque<Announcement> open_;       // rank 0: sends not yet finished
};

}  // namespace cogwheel
