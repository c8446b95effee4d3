#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include <absl/status/status.h>

#include "cogwheel/internal/v1/rank_control.pb.h"
#include "cogwheel/v1/video_service.pb.h"
#include "server/groups/rank_link.h"
#include "server/job/run.h"

namespace cogwheel {

// Why a group's exchanges were broken off: the values of a metric's label.
inline constexpr char kAbortFailed[] = "failed", kAbortOutOfStep[] = "out_of_step",
                      kAbortHung[] = "hung", kAbortLost[] = "lost", kAbortSilent[] = "silent";
inline constexpr std::array kAbortReasons = {kAbortFailed, kAbortOutOfStep, kAbortHung, kAbortLost,
                                             kAbortSilent};

// One rank of a group, as the group sees it. Owned by the dispatcher's thread.
struct RankMember {
  RankId id = 0;
  std::shared_ptr<RankLink> link;
  internal::v1::Hello hello;
  std::chrono::steady_clock::time_point last_word{};
  bool suspect = false;
  bool leaving = false;          // it was asked to leave (SIGTERM)
  bool strange = false;          // it has said what could not be understood; that was logged
  internal::v1::Heartbeat beat;  // the last: while the group forms its step is bytes loaded
  bool reported = false;         // Formed, JobAnswer or JobDone of this phase has come
  uint32_t weights_crc32c = 0;   // that it loaded; 0: it did not say
  internal::v1::JobDone done;
  absl::Status answer;
  RunStart start;             // with an answer that is OK
  int64_t planned_bytes = 0;  // with an answer that is OK
};

// Where each stands by its last word, for the log: "a:cpu (local rank 0) job 3, exchange 41; ...".
std::string DescribeStand(const std::vector<RankMember>& members);

// The state is left to the group.
v1::Rank DescribeRank(const RankMember& member, int world_rank);

}  // namespace cogwheel
