#include "worker/doctor/memory_checks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace cogwheel {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr int64_t kGib = 1 << 30;

// 4 GiB of weights on rank 0 and 1 GiB on others; a job takes 8 GiB, shared among ranks.
class FakeFootprints final : public Footprints {
 public:
  JobFootprint Bound(const JobShape& /*shape*/, const RankPlace& place) const override {
    return {.denoise = 8 * kGib / place.mesh.size()};
  }
  int64_t WeightBytes(int world_rank) const override { return world_rank == 0 ? 4 * kGib : kGib; }
  int frames_multiple() const override { return 8; }
  bool fixed_size() const override { return false; }
};

const FakeFootprints kModel;
const JobShape kShape = {.size = {49, 480, 720}};
const Mesh kOne, kTwo = {.ulysses = 2}, kFour = {.cfg = 2, .ulysses = 2};

Findings Check(const Mesh& mesh, const MemoryToShare& room) {
  return CheckMemory(kModel, kShape, mesh, {kOne, kTwo, kFour}, room);
}

TEST(CheckMemory, OnOneHostRanksAddUp) {
  // 4 + 8 + 1/4; 4 + 1 + 2·(4 + 1/4); 4 + 3 + 4·(2 + 1/4)
  const Findings enough = Check(kOne, {.bytes = 49 * kGib / 4, .limit = "MemAvailable"});
  EXPECT_EQ(enough[0].level, FindingLevel::kOk);
  EXPECT_EQ(enough[0].what,
            "1 rank with 49x480x720: all ranks take up to 12.2 GiB (weights 4.0 GiB, a job 8.0 GiB "
            "a rank), 12.2 GiB are free (MemAvailable)");
  EXPECT_EQ(enough[1].level, FindingLevel::kFact);
  EXPECT_EQ(enough[1].what,
            "1 rank 12.2 GiB, --ulysses 2 13.5 GiB (too much), --cfg-parallel 2 --ulysses 2 16.0 "
            "GiB (too much)");
  const Findings less = Check(kOne, {.bytes = 49 * kGib / 4 - 1, .limit = "cgroup memory.max"});
  EXPECT_EQ(less[0].level, FindingLevel::kFault);
  EXPECT_THAT(less[0].what, HasSubstr("free (cgroup memory.max)"));
  EXPECT_THAT(less[0].way_out, HasSubstr("a smaller clip"));
}

TEST(CheckMemory, NamesTheMeshesThatFit) {
  const Findings four = Check(kFour, {.bytes = 14 * kGib, .limit = "MemAvailable"});
  EXPECT_EQ(four[0].level, FindingLevel::kFault);
  EXPECT_THAT(four[0].what, StartsWith("--cfg-parallel 2 --ulysses 2 with 49x480x720: all"));
  EXPECT_EQ(four[0].way_out, "take 1 rank or --ulysses 2");
}

TEST(CheckMemory, EachRankHasItsOwnGpuOrUlimit) {
  // 4 + 8 + 1/4; 4 + 4 + 1/4; 4 + 2 + 1/4
  const MemoryToShare gpu = {.bytes = 33 * kGib / 4, .limit = "GPU 0", .each = true};
  EXPECT_EQ(Check(kTwo, gpu)[0].level, FindingLevel::kOk);
  const Finding one = Check(kOne, gpu)[0];
  EXPECT_EQ(one.level, FindingLevel::kFault);
  EXPECT_THAT(one.what, AllOf(HasSubstr("a rank takes up to 12.2 GiB"), HasSubstr("GPU 0")));
  EXPECT_EQ(one.way_out, "take --ulysses 2 or --cfg-parallel 2 --ulysses 2");
  EXPECT_EQ(Check(kTwo, {.bytes = 33 * kGib / 4, .each = true, .beside_tensors = kGib})[0].level,
            FindingLevel::kFault);
}

TEST(DefaultShape, IsWhatARequestWithoutSizesAsksFor) {
  ModelDescription model;
  model.default_frames = 49;
  model.default_height = 480;
  model.default_width = 720;
  model.max_text_tokens = 226;
  model.default_guidance_scale = 6;
  EXPECT_EQ(DefaultShape(model).size, (ClipSize{49, 480, 720}));
  EXPECT_EQ(DefaultShape(model).text_tokens, 226);
  EXPECT_TRUE(DefaultShape(model).guided);
  EXPECT_TRUE(DefaultShape(model).decoded);
  EXPECT_FALSE(DefaultShape(model).has_picture);
  model.image_required = true;
  model.default_guidance_scale = 1;
  EXPECT_FALSE(DefaultShape(model).guided);
  EXPECT_EQ(DefaultShape(model).picture_bytes, 480 * 720 * 3);
}

}  // namespace
}  // namespace cogwheel
