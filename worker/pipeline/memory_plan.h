#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include <ATen/core/Tensor.h>

#include "worker/device/cpu_memory.h"
#include "worker/device/memory_meter.h"
#include "worker/families/footprint.h"
#include "worker/pipeline/job_spec.h"

namespace cogwheel {

JobShape ShapeOf(const JobSpec& spec);

// What jobs take of this rank's memory, and whether that much is there. Owned by the rank thread.
class MemoryPlan {
 public:
  // host_ranks: the ranks that share this host's memory.
  MemoryPlan(const Footprints& footprints, const RankPlace& place, at::Device device,
             int host_ranks)
      : footprints_(footprints), place_(place), meter_(device), host_ranks_(host_ranks) {}

  // By arithmetic; of a shape that has run, what the allocator gave out then, and a little more.
  // Throws std::invalid_argument for what the model refuses.
  JobFootprint Expect(const JobShape& shape) const;
  // Throws c10::OutOfMemoryError, with what is asked, what is free and the nearest size that would
  // fit, where the job does not.
  void CheckRoom(const JobShape& shape);

  // One job while it runs: measures its stages and holds the tensors on a CPU to the room that
  // there was when it was checked.
  class Run {
   public:
    Run(MemoryPlan& plan, const JobShape& shape);
    void EndStage(int64_t JobFootprint::* stage);

   private:
    MemoryPlan& plan_;
    const JobShape shape_;
    const int64_t before_;
    const std::optional<CpuMemoryLimit> limit_;
  };

 private:
  // For tensors, now.
  MemoryRoom RoomFor(const JobShape& shape) const;
  void Keep(const JobShape& shape, int64_t JobFootprint::* stage, int64_t bytes);

  const Footprints& footprints_;
  const RankPlace place_;
  const MemoryMeter meter_;
  const int host_ranks_;
  std::optional<int64_t> checked_room_;  // for tensors, beside messages; of the latest CheckRoom
  std::map<JobShape, JobFootprint> measured_;
};

// The largest clip, by frames times pixels, that is legal, no longer and no larger than `shape`, of
// its proportions as far as multiples of 16 allow, and takes at most `bytes`. Nothing when there is
// none.
std::optional<ClipSize> LargestThatFits(const Footprints& footprints, const RankPlace& place,
                                        const JobShape& shape, int64_t bytes);

// "denoise needs 5214 MB, 1702 MB are free (cgroup memory.max); 17 frames at 240x368 would fit"
std::string RefusalText(const JobFootprint& needs, const MemoryRoom& room,
                        const std::string& way_out);

}  // namespace cogwheel
