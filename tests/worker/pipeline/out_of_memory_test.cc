#include <atomic>
#include <chrono>
#include <cstdlib>
#include <new>
#include <set>
#include <thread>

#include <c10/core/Allocator.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/checkpoint_builder.h"
#include "tests/support/journaled_ranks.h"
#include "tests/worker/pipeline/pipeline_runner.h"
#include "worker/families/cogvideox/cogvideox_family.h"
#include "worker/pipeline/failure.h"

// R1, second half: an allocation that fails on one rank, wherever in the job, ends the job on all
// of them. The same ranks, in the same world, make the next job's undisturbed bytes.
namespace cogwheel {
namespace {

// Of tensors; counted for one thread at a time, the one of a rank.
class FaultAllocator final : public c10::Allocator {
 public:
  explicit FaultAllocator(c10::Allocator& inner) : inner_(inner) {}
  // This thread's allocations are counted from 0; one of them fails (-1: none).
  void Watch(int64_t failing) {
    count_ = 0;
    failing_ = failing;
    thread_ = std::this_thread::get_id();
  }
  int64_t count() const { return count_; }

  c10::DataPtr allocate(size_t bytes) override {
    const bool mine = thread_.load() == std::this_thread::get_id();
    if (mine && count_++ == failing_) throw std::bad_alloc();
    return inner_.allocate(bytes);
  }
  c10::DeleterFnPtr raw_deleter() const override { return inner_.raw_deleter(); }
  void copy_data(void* to, const void* from, size_t bytes) const override {
    inner_.copy_data(to, from, bytes);
  }

 private:
  c10::Allocator& inner_;
  std::atomic<int64_t> count_{0}, failing_{-1};
  std::atomic<std::thread::id> thread_{};
};

JobSpec Job() {
  return {.job = "jobs/r1",
          .prompt = "a red circle",
          .frames = 17,
          .height = 32,
          .width = 32,
          .fps = 8,
          .steps = 2,
          .guidance_scale = 3,
          .scheduler = SchedulerKind::kDpm,
          .seed = 1,
          .max_sequence_length = 13,
          .output = OutputKind::kFrames};
}

struct Planned {
  int rank = 0;
  int64_t allocation = -1;  // -1: none fails
};

// What a rank is through with one job.
struct Ended {
  std::string error;  // empty: done
  bool out_of_memory = false;
  std::vector<uint8_t> frames;  // rank 0's
};

// A group that lives on from job to job.
class LastingGroup {
 public:
  LastingGroup(const std::string& model_dir, const Mesh& mesh, FaultAllocator& allocator)
      : allocator_(allocator),
        ranks_(MakeJournaledWorld(mesh.size(), std::chrono::seconds(100), Wire::kSockets)) {
    for (int rank = 0; rank < mesh.size(); ++rank) {
      pipelines_.push_back(Pipeline::Create(
          *CogVideoXFamily(),
          {.model_dir = model_dir, .mesh = mesh, .world_rank = rank, .cpu_threads = 1}));
    }
  }

  // By rank.
  std::vector<Ended> Run(const Planned& fault) {
    ++sequence_;
    std::vector<Ended> ended(ranks_.size());
    std::vector<std::thread> threads;
    for (size_t rank = 0; rank < ranks_.size(); ++rank) {
      threads.emplace_back([&, rank] {
        if (fault.rank == static_cast<int>(rank)) allocator_.Watch(fault.allocation);
        ended[rank] = RunOn(static_cast<int>(rank));
      });
    }
    for (std::thread& thread : threads) thread.join();
    return ended;
  }

 private:
  // As RankLoop does it.
  Ended RunOn(int rank) {
    Communicator& world = *ranks_[rank].world.communicator;
    RecordingSink sink;
    JobSpec spec = Job();
    spec.epoch = 1;
    spec.job_sequence = sequence_;
    try {
      world.EnterWork(sequence_);
      pipelines_[rank]->Run(spec, world, *ranks_[rank].world.journal, sink, {});
      return {.frames = sink.frames};
    } catch (...) {
      const Failure failure = DescribeFailure(std::current_exception());
      const std::string place = pipelines_[rank]->place().words;
      const bool own = failure.kind == FailureKind::kOutOfMemory && !failure.heard;
      if (own) world.Abandon(place);
      return {.error = own ? place : failure.message,
              .out_of_memory = failure.kind == FailureKind::kOutOfMemory};
    }
  }

  FaultAllocator& allocator_;
  std::vector<JournaledRank> ranks_;
  std::vector<std::unique_ptr<Pipeline>> pipelines_;
  int64_t sequence_ = 0;
};

// COGWHEEL_LONG: so many bad jobs between as many good ones.
int BadJobs() { return std::getenv("COGWHEEL_LONG") != nullptr ? 20 : 5; }

TEST(OutOfMemoryTest, WhereverARankHasNoMemoryTheJobFailsAlone) {
  FaultAllocator faulty(*c10::GetAllocator(c10::kCPU));
  c10::SetAllocator(c10::kCPU, &faulty, /*priority=*/100);
  TemporaryFolder folder;
  BuildCheckpoint("t2v-rope", folder.path());
  std::set<std::string> places;
  for (const Mesh& mesh : {Mesh{1, 1, 1}, Mesh{1, 2, 2}, Mesh{2, 1, 2}}) {
    SCOPED_TRACE(mesh.ToString());
    LastingGroup group(folder.path(), mesh, faulty);
    const std::vector<Ended> first = group.Run({});
    ASSERT_EQ(first[0].error, "");
    std::vector<int64_t> counts;
    for (int rank = 0; rank < mesh.size(); ++rank) {
      group.Run({.rank = rank});
      counts.push_back(faulty.count());
    }
    for (int bad = 0; bad < BadJobs(); ++bad) {
      // Spread over the ranks, and over the whole course of each: most are the decode's.
      const int rank = (bad + 1) % mesh.size();
      const double share = static_cast<double>(bad) / (BadJobs() - 1);
      const auto at = static_cast<int64_t>(0.98 * counts[rank] * share * share * share);
      SCOPED_TRACE("rank " + std::to_string(rank) + ", allocation " + std::to_string(at));
      const std::vector<Ended> failed = group.Run({.rank = rank, .allocation = at});
      EXPECT_TRUE(failed[rank].out_of_memory) << failed[rank].error;
      places.insert(failed[rank].error);
      for (const Ended& each : failed) {
        // One that had ended its part is done; the job's report has the others' word.
        EXPECT_TRUE(each.error.empty() || each.error == failed[rank].error) << each.error;
      }
      const std::vector<Ended> good = group.Run({});
      for (const Ended& each : good) ASSERT_EQ(each.error, "");
      EXPECT_EQ(good[0].frames, first[0].frames);
    }
  }
  EXPECT_THAT(places, testing::IsSupersetOf({"text encoder", "step 1 of 2", "decode"}));
}

}  // namespace
}  // namespace cogwheel
